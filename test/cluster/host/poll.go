package host

import (
	"context"
	"fmt"
	"time"
)

const pollInterval = 50 * time.Millisecond

// Poll asks until the answer is yes, an error comes, or the context ends.
func Poll(ctx context.Context, ask func() (bool, error)) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		if done, err := ask(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// PollUntil is poll for a question that may fail for a while: what it last said explains a timeout.
func PollUntil(ctx context.Context, timeout time.Duration, what string, ask func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var last error
	err := Poll(limited, func() (bool, error) {
		err := ask(limited)
		// When time is up the answer is only that, and what was said before it is the better explanation.
		if err != nil && limited.Err() == nil {
			last = err
		}
		return err == nil, nil
	})
	if ctx.Err() != nil && err != nil {
		return fmt.Errorf("%s: %w", what, context.Cause(ctx))
	}
	if err != nil {
		return fmt.Errorf("%s: not within %s: %w (%w)", what, timeout, last, err)
	}
	return nil
}
