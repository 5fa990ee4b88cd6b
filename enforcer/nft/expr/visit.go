package expr

// Visit is Expr's.
func (e Verdict) Visit(v Visitor) error { return v.Verdict(e) }

// Visit is Expr's.
func (e Counter) Visit(v Visitor) error { return v.Counter(e) }

// Visit is Expr's.
func (e Transport) Visit(v Visitor) error { return v.Transport(e) }

// Visit is Expr's.
func (e ICMPv6Type) Visit(v Visitor) error { return v.ICMPv6Type(e) }

// Visit is Expr's.
func (s State) Visit(v Visitor) error { return v.State(s) }

// Visit is Expr's.
func (d Direction) Visit(v Visitor) error { return v.Direction(d) }

// Visit is Expr's.
func (e MarkIs) Visit(v Visitor) error { return v.MarkIs(e) }

// Visit is Expr's.
func (e SetMark) Visit(v Visitor) error { return v.SetMark(e) }

// Visit is Expr's.
func (e LinkKind) Visit(v Visitor) error { return v.LinkKind(e) }

// Visit is Expr's.
func (e EtherType) Visit(v Visitor) error { return v.EtherType(e) }

// Visit is Expr's.
func (e RouteMissing) Visit(v Visitor) error { return v.RouteMissing(e) }

// Visit is Expr's.
func (e ToKind) Visit(v Visitor) error { return v.ToKind(e) }

// Visit is Expr's.
func (e Options) Visit(v Visitor) error { return v.Options(e) }

// Visit is Expr's.
func (e RoutingHeader) Visit(v Visitor) error { return v.RoutingHeader(e) }

// Visit is Expr's.
func (e LongerThan) Visit(v Visitor) error { return v.LongerThan(e) }

// Visit is Expr's.
func (e HopLimit) Visit(v Visitor) error { return v.HopLimit(e) }

// Visit is Expr's.
func (e Raw) Visit(v Visitor) error { return v.Raw(e) }

// Visit is Expr's.
func (e Port) Visit(v Visitor) error { return v.Port(e) }

// Visit is Expr's.
func (e Address) Visit(v Visitor) error { return v.Address(e) }

// Visit is Expr's.
func (l Lookup) Visit(v Visitor) error { return v.Lookup(l) }
