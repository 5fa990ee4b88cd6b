package wire

import "sigs.k8s.io/knftables"

// Encode tells whether steps can be written when the kernel's sets are those that others add.
func Encode(table string, before, steps []Step) error {
	e := &encoder{table: table, family: families[knftables.InetFamily], sets: map[string]definition{}}
	for _, s := range before {
		if err := e.step(s); err != nil {
			return &UnsupportedError{s, err}
		}
	}
	_, err := (&encoder{table: table, family: e.family, sets: e.sets}).encode(1, steps, true)
	return err
}
