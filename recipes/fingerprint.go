package recipes

import "reflect"

// fingerprint is what a stage's keys say, by key, with extra values that
// follow from the rest of the recipe. It is what the pipeline hashes, and what
// a manifest shows.
func fingerprint(s any, extra map[string]any) map[string]any {
	out := keyed(reflect.ValueOf(s)).(map[string]any)
	for k, v := range extra {
		out[":"+k] = v // no key begins with a colon
	}
	return out
}

// keyed turns structs with yaml tags into maps, so that equal keys of inlined
// structs cannot hide each other as they would in encoding/json.
func keyed(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return keyed(v.Elem())
	case reflect.Struct:
		out := map[string]any{}
		for _, f := range fields(v.Type()) {
			if value := v.FieldByIndex(f.index); !f.omit || !value.IsZero() {
				out[f.key] = keyed(value)
			}
		}
		return out
	case reflect.Map:
		if v.IsNil() {
			return v.Interface()
		}
		out := map[string]any{}
		for k, value := range v.Seq2() {
			out[k.String()] = keyed(value)
		}
		return out
	case reflect.Slice:
		out := make([]any, v.Len())
		for i := range out {
			out[i] = keyed(v.Index(i))
		}
		return out
	}
	return v.Interface()
}
