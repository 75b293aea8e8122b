package compute

// Derived returns what build returned when it was first called for that key:
// w's values in another order, say, which then live as long as w. build is
// called once even if many goroutines ask at a time; it must not call Derived
// of w itself. Without build, Derived returns nil until there is something. It
// panics for a weight that shares an array, whose values change.
func (w *Weight) Derived(key any, build func() any) any {
	if w.array != nil {
		panic("compute: Derived of a weight that shares an array")
	}
	if value, ok := w.derived.Load(key); ok || build == nil {
		return value
	}
	w.building.Lock()
	defer w.building.Unlock()
	if value, ok := w.derived.Load(key); ok {
		return value
	}
	value := build()
	w.derived.Store(key, value)
	return value
}
