package nft

import (
	"fmt"
	"strings"
)

// String returns the table in nft's own syntax, sorted: `nft -f` loads it, people read it, and
// golden files keep it.
func (t Table) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "table %s %s {\n", t.Family, t.Name)
	if t.Comment != "" {
		fmt.Fprintf(&b, "\tcomment %q\n", t.Comment)
	}
	for _, name := range sorted(t.Counters) {
		t.Counters[name].write(&b, name)
	}
	for _, name := range sorted(t.Sets) {
		t.Sets[name].write(&b, name)
	}
	for _, name := range sorted(t.Chains) {
		t.Chains[name].write(&b, name)
	}
	b.WriteString("}\n")
	return b.String()
}

func (c Counter) write(b *strings.Builder, name string) {
	fmt.Fprintf(b, "\n\tcounter %s {\n\t\tcomment %q\n\t}\n", name, c.Comment)
}

func (s Set) write(b *strings.Builder, name string) {
	if s.Value == "" {
		fmt.Fprintf(b, "\n\tset %s {\n\t\ttype %s\n", name, s.Key)
	} else {
		fmt.Fprintf(b, "\n\tmap %s {\n\t\ttype %s : %s\n", name, s.Key, s.Value)
	}
	if s.Interval {
		b.WriteString("\t\tflags interval\n")
	}
	if s.Dynamic != (Dynamic{}) {
		fmt.Fprintf(b, "\t\tsize %d\n\t\tflags dynamic,timeout\n\t\ttimeout %ds\n", s.Dynamic.Size, int(s.Dynamic.Timeout.Seconds()))
	}
	if s.Comment != "" {
		fmt.Fprintf(b, "\t\tcomment %q\n", s.Comment)
	}
	if len(s.Elements) != 0 {
		b.WriteString("\t\telements = {\n")
		for _, key := range sorted(s.Elements) {
			fmt.Fprintf(b, "\t\t\t%s%s,\n", key, s.Elements[key].suffix())
		}
		b.WriteString("\t\t}\n")
	}
	b.WriteString("\t}\n")
}

func (e Element) suffix() string {
	out := ""
	if e.Comment != "" {
		out += fmt.Sprintf(" comment %q", e.Comment)
	}
	if e.Value != "" {
		out += " : " + e.Value
	}
	return out
}

func (c Chain) write(b *strings.Builder, name string) {
	fmt.Fprintf(b, "\n\tchain %s {\n", name)
	if c.Comment != "" {
		fmt.Fprintf(b, "\t\tcomment %q\n", c.Comment)
	}
	if c.Base != nil {
		fmt.Fprintf(b, "\t\ttype filter hook %s priority %s; policy %s;\n", c.Base.Hook, c.Base.Priority, c.Base.Policy)
	}
	for _, rule := range c.Rules {
		fmt.Fprintf(b, "\t\t%s", rule.Exprs)
		if rule.Comment != "" {
			fmt.Fprintf(b, " comment %q", rule.Comment)
		}
		b.WriteString("\n")
	}
	b.WriteString("\t}\n")
}

// Remark makes text fit for an nft comment: one line, no quotes, at most 128 bytes
// (NFTNL_UDATA_COMMENT_MAXLEN of libnftnl).
func Remark(text string) string {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return '?'
		}
		return r
	}, text)
	if len(clean) > MaxComment-1 {
		clean = clean[:MaxComment-4] + "..."
	}
	return clean
}
