package flows

import (
	"cmp"
	"time"
	"unique"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/enforcer/compile"
)

// sweepEvery is how often what is too old is looked for.
const sweepEvery = time.Minute

// Read takes in what the kernel says now.
func (f *Flows) Read(reading Reading, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.follow()
	at := f.at(now)
	f.name(at)
	f.readings++
	for i := range reading.Seen {
		f.see(&reading.Seen[i], at)
	}
	f.missed.read(reading.Missed, at)
	for k, e := range f.entries {
		if e.latest == nil && e.reading != f.readings {
			delete(f.entries, k)
		}
	}
	f.last = at
	f.history.forget(at)
	if at-f.swept >= sweepEvery {
		f.swept = at
		f.sweep(at)
	}
}

// see takes in what the kernel says about one element.
func (f *Flows) see(s *Seen, at time.Duration) {
	number, ok := f.classes.of(&s.Key)
	if !ok {
		return
	}
	k := key{s.Initiator, s.Server, s.Port, s.Protocol, number}
	e := f.entries[k]
	if e == nil {
		e = &entry{}
		f.entries[k] = e
	}
	created := at - s.Age
	fresh := e.reading == 0 || s.Count < e.count || created-e.created > sameElement
	delta := s.Count
	if !fresh {
		delta -= e.count
		created = e.created
	}
	e.count, e.created, e.reading = s.Count, created, f.readings
	if delta == 0 {
		return
	}
	if fresh {
		source, destination := f.ends(k, created)
		e.named = 0
		f.count(e, k, source, destination, created, at, delta)
		return
	}
	if e.latest != nil && e.named == f.history.changes {
		f.again(e.latest, at, delta)
		return
	}
	e.named = f.history.changes
	// Who has the address now, or else who had it when the kernel was read before: a pod may end just after it was counted.
	source, destination := f.ends(k, at)
	if source == nil || destination == nil {
		before, beforeToo := f.ends(k, f.last)
		source, destination = cmp.Or(source, before), cmp.Or(destination, beforeToo)
	}
	f.count(e, k, source, destination, at, at, delta)
}

// ends are who had a connection's addresses. Nobody had what a sender claims whose packets were dropped for that.
func (f *Flows) ends(k key, when time.Duration) (source, destination *person) {
	if f.classes.all[k.class].reason != spoofed {
		source = f.history.at(k.initiator, when)
	}
	return source, f.history.at(k.server, when)
}

// spoofed is the reason, one of compile.Denials, of packets that are from an address which is not the sender's.
const spoofed = "spoofed"

// count adds to the connection between these two.
func (f *Flows) count(e *entry, k key, source, destination *person, first, at time.Duration, delta uint64) {
	c := e.latest
	for c != nil && (c.source.who != source || c.destination.who != destination) {
		c = c.older
	}
	if c == nil {
		c = &connection{key: k, source: end{who: source}, destination: end{who: destination}, first: first, last: at, logged: at - lineEvery, older: e.latest}
		e.latest = c
		f.explain(c)
		if source == nil || destination == nil {
			c.unnamed = true
			f.unnamed = append(f.unnamed, c)
		}
		f.forget(f.memory.add(c, f.shareOf(c)), at)
		f.raise(c, delta)
		return
	}
	e.promote(c)
	f.again(c, at, delta)
}

// again notes that a connection was seen again.
func (f *Flows) again(c *connection, at time.Duration, delta uint64) {
	c.last = at
	f.memory.touch(c)
	f.explain(c)
	f.raise(c, delta)
}

// promote makes a connection the latest.
func (e *entry) promote(c *connection) {
	if e.latest == c {
		return
	}
	e.cut(c)
	c.older, e.latest = e.latest, c
}

// cut takes a connection out.
func (e *entry) cut(c *connection) {
	at := &e.latest
	for *at != nil && *at != c {
		at = &(*at).older
	}
	if *at == c {
		*at, c.older = c.older, nil
	}
}

func (f *Flows) raise(c *connection, delta uint64) {
	c.count += delta
	c.uncount += delta
	if !c.unnamed {
		f.totals.add(f.labelsOf(c), c.uncount)
		c.uncount = 0
	}
	if f.options.Log && f.classes.all[c.key.class].verdict != connections.Allowed {
		if c.unlogged += delta; !c.queued {
			c.queued = true
			f.unlogged = append(f.unlogged, c)
		}
	}
}

// explain finds the tiers of the ends, as they were first, and the policies that decided, as they were last.
func (f *Flows) explain(c *connection) {
	for _, e := range []*end{&c.source, &c.destination} {
		if e.who != nil && e.tier == (unique.Handle[tierName]{}) {
			e.tier = f.policies.knowledgeOf(e.who).tier
		}
	}
	of := f.classes.all[c.key.class]
	side := c.decided(of.direction)
	if of.verdict == connections.Allowed || side == nil || side.who == nil {
		return
	}
	in := map[connections.Direction]compile.Direction{connections.Egress: compile.Egress, connections.Ingress: compile.Ingress}[of.direction]
	c.because = f.policies.knowledgeOf(side.who).because[verdictIn{in, of.verdict == connections.WouldDeny}]
}

// decided is the end whose policies decided; nil if none did.
func (c *connection) decided(direction connections.Direction) *end {
	switch direction {
	case connections.Egress:
		return &c.source
	case connections.Ingress:
		return &c.destination
	default:
		return nil
	}
}

// name looks again who was at the ends that nobody is known to have been at.
func (f *Flows) name(at time.Duration) {
	left := f.unnamed[:0]
	for _, c := range f.unnamed {
		if c.from == nil {
			continue
		}
		source, destination := f.ends(c.key, c.first)
		if c.source.who != nil {
			source = c.source.who
		}
		if c.destination.who != nil {
			destination = c.destination.who
		}
		if source != c.source.who || destination != c.destination.who {
			c = f.rename(c, source, destination)
		}
		if c.unnamed && (source == nil || destination == nil) && at-c.first < 2*lag {
			left = append(left, c)
		} else if c.unnamed {
			c.unnamed = false
			f.raise(c, 0)
		}
	}
	clear(f.unnamed[len(left):])
	f.unnamed = left
}

// rename gives a connection its ends. If there is one of these already, they become one.
func (f *Flows) rename(c *connection, source, destination *person) *connection {
	e := f.entries[c.key]
	other := e.latest
	for other != nil && (other.source.who != source || other.destination.who != destination) {
		other = other.older
	}
	f.memory.remove(c)
	if other != nil {
		e.cut(c)
		other.first, other.last = min(other.first, c.first), max(other.last, c.last)
		other.count += c.count
		other.uncount += c.uncount
		other.unlogged += c.unlogged
		if other.unlogged > 0 && !other.queued {
			other.queued = true
			f.unlogged = append(f.unlogged, other)
		}
		return other
	}
	c.source.who, c.destination.who = source, destination
	f.explain(c)
	f.forget(f.memory.add(c, f.shareOf(c)), c.last)
	return c
}

// forget takes those out that the memory has dropped, and counts them as missing.
func (f *Flows) forget(gone []*connection, at time.Duration) {
	for _, c := range gone {
		f.leave(c)
		for _, namespace := range namespacesOf(c) {
			f.missed.forgotten(namespace, at)
		}
	}
}

// leave ends what the memory does not hold any more.
func (f *Flows) leave(c *connection) {
	if c.uncount > 0 {
		c.unnamed = false
		f.totals.add(f.labelsOf(c), c.uncount)
		c.uncount = 0
	}
	if e := f.entries[c.key]; e != nil {
		e.cut(c)
	}
}

// sweep drops connections that were last seen too long ago.
func (f *Flows) sweep(at time.Duration) {
	f.memory.each(func(c *connection) {
		if at-c.last >= f.options.Retention {
			f.memory.remove(c)
			f.leave(c)
		}
	})
	f.missed.sweep(at - f.options.Retention)
}
