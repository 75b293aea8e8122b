package recipes

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// Keys that change nothing in what a stage makes, or only through what they
// refer to, which the pipeline hashes itself.
var noFingerprint = map[string]string{
	"train.checkpoint_every":      "checkpoints change nothing",
	"train.memory":                "layers that are recomputed come out the same",
	"classifier.checkpoint_every": "checkpoints change nothing",
	"classifier.memory":           "layers that are recomputed come out the same",
	"answers.batch":               "answers do not depend on how many are under way at a time",
	"answers.budget":              "what may be spent changes no answer",
	"answers.batch_api":           "answers do not depend on how they are fetched",
	"eval.budget":                 "what may be spent changes no answer",
	"synthesize.budget":           "what may be spent changes no answer",
	"synthesize.batch_api":        "answers do not depend on how they are fetched",
	"dataset.files":               "the pipeline hashes the files' contents and names",
}

// Every key of every kind of stage must have a tag, and changing its value must
// change the fingerprint: or an option would be accepted and an old artifact used.
func TestEveryKeyChangesTheFingerprint(t *testing.T) {
	for kind, make := range kinds {
		base := print(t, make())
		for _, f := range fields(reflect.TypeOf(make()).Elem()) {
			name := kind + "." + f.key
			s := make()
			change(t, name, reflect.ValueOf(s).Elem().FieldByIndex(f.index))
			if noFingerprint[name] != "" {
				continue
			}
			if got := print(t, s); got == base {
				t.Errorf("changing %s does not change the fingerprint", name)
			}
		}
		untagged(t, kind, reflect.TypeOf(make()).Elem())
	}
}

// Artifacts made before these keys were there are still found.
func TestLaterKeysLeaveFingerprintsAlone(t *testing.T) {
	got := print(t, &answersStage{})
	for _, key := range []string{"min_p", "repetition_penalty"} {
		if strings.Contains(got, key) {
			t.Errorf("a fingerprint without %s has it: %s", key, got)
		}
	}
}

func print(t *testing.T, s stage) string {
	t.Helper()
	r := &Recipe{Models: map[string]Source{"": {Path: "x"}, "x": {Path: "x"}}}
	data, err := json.Marshal(s.build(r).Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// change gives v a value that differs from its zero and its default.
func change(t *testing.T, name string, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		if v.Elem().Kind() != reflect.Struct {
			change(t, name, v.Elem())
		}
	case reflect.Struct:
		change(t, name, v.FieldByIndex(fields(v.Type())[0].index))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		if v.Type().Elem().Kind() == reflect.String {
			v.Index(0).SetString("x")
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("x"), reflect.Zero(v.Type().Elem()))
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(77)
	case reflect.Uint64:
		v.SetUint(77)
	case reflect.Float64:
		v.SetFloat(0.77)
	default:
		t.Fatalf("%s has type %s", name, v.Type())
	}
}

// untagged finds exported fields that no key sets, by accident.
func untagged(t *testing.T, path string, typ reflect.Type) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		tag := f.Tag.Get("yaml")
		if f.IsExported() && tag == "" {
			t.Errorf("%s.%s has no yaml tag", path, f.Name)
		}
		in := f.Type
		if in.Kind() == reflect.Pointer {
			in = in.Elem()
		}
		if in.Kind() == reflect.Struct && !strings.HasPrefix(tag, "-") {
			untagged(t, fmt.Sprintf("%s.%s", path, f.Name), in)
		}
	}
}
