package nft

import (
	"context"
	"fmt"
	"io"
)

// Forms returns the rules of a table by chain in the form in which this kernel lists them, so that they can be compared
// with those of a table that is there. The table is written under another name, listed, and removed again. No packet
// meets it meanwhile: none of its chains is attached to a hook, and its sets are empty.
func Forms(ctx context.Context, t Table) (forms map[string][]string, err error) {
	probe := t.Clone()
	probe.Name += "-forms"
	for name, chain := range probe.Chains {
		chain.Base = nil
		probe.Chains[name] = chain
	}
	for name, set := range probe.Sets {
		set.Elements = nil
		probe.Sets[name] = set
	}
	kernel, err := Open(probe.Family, probe.Name)
	if err != nil {
		return nil, err
	}
	if closer, ok := kernel.(io.Closer); ok {
		defer func() { _ = closer.Close() }()
	}
	if err := Apply(ctx, kernel, Replace(probe)); err != nil {
		return nil, fmt.Errorf("writing table %s: %w", probe.Name, err)
	}
	defer func() {
		if removed := RemoveTable(context.WithoutCancel(ctx), kernel); err == nil && removed != nil {
			err = fmt.Errorf("removing table %s: %w", probe.Name, removed)
		}
	}()
	contents, err := kernel.Contents(ctx, false)
	if err != nil {
		return nil, fmt.Errorf("listing table %s: %w", probe.Name, err)
	}
	forms = make(map[string][]string, len(contents.Chains))
	for name, chain := range contents.Chains {
		forms[name] = chain.Rules
	}
	return forms, nil
}
