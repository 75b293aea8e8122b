package datasets

import (
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"
)

// What the walkers find in valid JSON is what encoding/json finds.
func FuzzJSONWalk(f *testing.F) {
	f.Add([]byte(`{"a":1,"b\u00e9":[1,{"c":"\\\""},null],"a" : -1.5e3 }`))
	f.Add([]byte(`[ "x,]" , [[]],{},true,12 ]`))
	f.Add([]byte("{\"\\ud800\":\"\\\\\",\"\":{\"}\":\"{\"}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if !json.Valid(data) || !utf8.Valid(data) { // cells that are not UTF-8 are never walked
			return
		}
		same := func(raw []byte, want json.RawMessage) bool {
			var a, b any
			return json.Unmarshal(raw, &a) == nil && json.Unmarshal(want, &b) == nil && reflect.DeepEqual(a, b)
		}
		switch data[skipSpace(data, 0)] {
		case '{':
			var want map[string]json.RawMessage
			if err := json.Unmarshal(data, &want); err != nil {
				t.Fatal(err)
			}
			got := map[string][]byte{}
			for key, value := range members(data) {
				got[key] = value
			}
			if len(got) != len(want) {
				t.Fatalf("%d members of %s, want %d", len(got), data, len(want))
			}
			for key, value := range want {
				if !same(got[key], value) {
					t.Fatalf("member %q of %s: %s, want %s", key, data, got[key], value)
				}
			}
		case '[':
			var want []json.RawMessage
			if err := json.Unmarshal(data, &want); err != nil {
				t.Fatal(err)
			}
			n := 0
			for value := range elements(data) {
				if n == len(want) || !same(value, want[n]) {
					t.Fatalf("element %d of %s is %s", n, data, value)
				}
				n++
			}
			if n != len(want) {
				t.Fatalf("%d elements of %s, want %d", n, data, len(want))
			}
		}
	})
}

// Whatever a conversation is, it becomes an example whose JSON is well formed,
// or has a reason; and a second reading of the result finds the same.
func FuzzTurns(f *testing.F) {
	f.Add([]byte(`[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"text","text":"b"}],"tool_calls":[{"x":1.0}]}]`), false)
	f.Add([]byte(`[{"role":"system","content":"s"},{"role":"user","content":"é\ud800","name":null},{"role":"assistant","content":null}]`), false)
	f.Add([]byte(`[{"from":"human","value":"q"},{"from":"gpt","value":"a"}]`), true)
	f.Fuzz(func(t *testing.T, data []byte, share bool) {
		in := &Input{Format: FormatMessages}
		if share {
			in.Format = FormatShareGPT
		}
		m, err := newMapper(in)
		if err != nil {
			t.Fatal(err)
		}
		c := textCell(string(data))
		if json.Valid(data) {
			if c = jsonCell(data[skipSpace(data, 0):]); c.state == cellText && c.number {
				return
			}
		}
		var e Example
		if reason := m.example([]cell{c}, &e); reason != "" {
			return
		}
		if e.Prompt == "" && e.Messages == "" || e.Response == "" {
			t.Fatalf("%s: %+v", data, e)
		}
		for _, text := range []string{e.Messages, e.Turn} {
			if text != "" && !json.Valid([]byte(text)) {
				t.Fatalf("%s: no JSON: %s", data, text)
			}
		}
		if e.Messages == "" {
			return
		}
		m, _ = newMapper(&Input{Format: FormatMessages, PromptOnly: true})
		var again Example
		if reason := m.example([]cell{{text: e.Messages, state: cellJSON}}, &again); reason != "" || again.Messages != e.Messages || again.Prompt != e.Prompt {
			t.Fatalf("%s: %s %+v, then %+v", data, reason, e, again)
		}
	})
}
