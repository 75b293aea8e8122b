package datasets_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/retort-ml/retort/datasets"
)

func shared(t *testing.T, parts ...string) string {
	t.Helper()
	path := filepath.Join(append([]string{"..", "..", "shared"}, parts...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no %s", path)
	}
	return path
}

// of is options of a format for one file.
func of(format, path string) datasets.Options {
	return datasets.Options{Input: datasets.Input{Format: format, Files: map[string][]string{"": {path}}}}
}

// one loads a file of one JSON line.
func one(t *testing.T, format, line string, edit func(*datasets.Options)) (datasets.Example, map[datasets.Reason]int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rows.jsonl")
	if err := os.WriteFile(path, []byte(line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := of(format, path)
	if edit != nil {
		edit(&o)
	}
	d, err := datasets.Make(t.Context(), t.TempDir(), o, datasets.Hooks{Scratch: t.TempDir()})
	if err != nil {
		for _, r := range allReasons {
			if strings.Contains(err.Error(), "(1 "+string(r)+")") {
				return datasets.Example{}, map[datasets.Reason]int{r: 1}
			}
		}
		t.Fatal(err)
	}
	e := readAll(t, d).Splits["train"][0]
	e.ID, e.File, e.Row = "", "", 0
	return e, nil
}

var allReasons = []datasets.Reason{datasets.MissingColumn, datasets.NullPrompt, datasets.NullResponse, datasets.NullGroup, datasets.EmptyPrompt,
	datasets.EmptyResponse, datasets.InvalidUTF8, datasets.WrongType, datasets.UnknownLabel, datasets.BadChoices, datasets.UnknownAnswer,
	datasets.BadTurn, datasets.NotText, datasets.UnknownRole, datasets.EmptyTurn, datasets.LateSystem, datasets.AssistantFirst,
	datasets.NotAlternating, datasets.StrayTool, datasets.NoResponse, datasets.BadTools, datasets.UnequalPair, datasets.RaggedRow}

const (
	user      = `{"role":"user","content":"u"}`
	assistant = `{"role":"assistant","content":"a"}`
	system    = `{"role":"system","content":"s"}`
)

func TestConversations(t *testing.T) {
	call := `{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"x\": 1.50}"}}]}`
	tool := `{"role":"tool","tool_call_id":"1","content":"12"}`
	for _, c := range []struct {
		name, line string
		edit       func(*datasets.Options)
		want       datasets.Example
	}{
		{"one turn is a plain prompt", `{"messages":[` + user + `,` + assistant + `]}`, nil, datasets.Example{Prompt: "u", Response: "a"}},
		{"with a system turn", `{"messages":[` + system + `,` + user + `,` + assistant + `]}`, nil,
			datasets.Example{Prompt: "u", Response: "a", Messages: "[" + system + "," + user + "]"}},
		{"several turns", `{"messages":[` + user + `,` + assistant + `,` + user + `,{"role":"assistant","content":"b"}]}`, nil,
			datasets.Example{Prompt: "user: u\n\nassistant: a\n\nuser: u", Response: "b", Messages: "[" + user + "," + assistant + "," + user + "]"}},
		{"parts of text are joined", `{"messages":[{"role":"user","content":[{"type":"text","text":"x"},{"type":"text","text":"\u00e9"}]},` + assistant + `]}`, nil,
			datasets.Example{Prompt: "xé", Response: "a"}},
		{"as a text", `{"messages":"[{\"role\":\"user\",\"content\":\"u\"},{\"role\":\"assistant\",\"content\":\"a\"}]"}`, nil, datasets.Example{Prompt: "u", Response: "a"}},
		{"order and numbers stay", `{"messages":[ {"name": "n", "content": "u", "role":"user", "seed": 1.50e3, "x": {"b":1,"a":[ 2 ]}, "gone":null} ,` + assistant + `]}`, nil,
			datasets.Example{Prompt: "u", Response: "a", Messages: `[{"name":"n","content":"u","role":"user","seed":1.50e3,"x":{"b":1,"a":[2]}}]`}},
		{"tools", `{"messages":[` + user + `,` + call + `],"tools":[{"type":"function","function":{"name":"f","parameters":{"z":1,"a":2.0}}}]}`,
			func(o *datasets.Options) { o.Columns.Tools = "tools" },
			datasets.Example{Prompt: "u", Response: `[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"x\": 1.50}"}}]`, Turn: call, Messages: "[" + user + "]",
				Tools: `[{"type":"function","function":{"name":"f","parameters":{"z":1,"a":2.0}}}]`}},
		{"a tool answers", `{"messages":[` + user + `,` + call + `,` + tool + `,` + assistant + `]}`, nil,
			datasets.Example{Prompt: "user: u\n\nassistant: " + `[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"x\": 1.50}"}}]` + "\n\ntool: 12",
				Response: "a", Messages: "[" + user + "," + call + "," + tool + "]"}},
		{"reasoning", `{"messages":[` + user + `,{"role":"assistant","reasoning_content":"r","content":"a"}]}`, nil,
			datasets.Example{Prompt: "u", Response: "a", Turn: `{"role":"assistant","reasoning_content":"r","content":"a"}`}},
		{"prompts only", `{"messages":[` + user + `]}`, func(o *datasets.Options) { o.PromptOnly = true }, datasets.Example{Prompt: "u"}},
		{"prompts only leave the answer out", `{"messages":[` + user + `,` + assistant + `]}`, func(o *datasets.Options) { o.PromptOnly = true }, datasets.Example{Prompt: "u"}},
	} {
		if got, reason := one(t, datasets.FormatMessages, c.line, c.edit); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v %v\nwant %+v", c.name, got, reason, c.want)
		}
	}
	for _, c := range []struct {
		messages string
		want     datasets.Reason
	}{
		{`[]`, datasets.EmptyPrompt}, {`null`, datasets.NullPrompt}, {`"hello"`, datasets.WrongType}, {`{"role":"user"}`, datasets.WrongType},
		{`[1]`, datasets.BadTurn}, {`[{"role":"user","content":{"a":1}}]`, datasets.BadTurn}, {`[{"role":"user","content":5},` + assistant + `]`, datasets.BadTurn},
		{`[{"role":"robot","content":"x"}]`, datasets.UnknownRole}, {`[{"content":"x"}]`, datasets.UnknownRole},
		{`[{"role":"user","content":" "},` + assistant + `]`, datasets.EmptyTurn}, {`[` + user + `,{"role":"assistant","content":null}]`, datasets.EmptyTurn},
		{`[` + user + `,{"role":"assistant","tool_calls":[ ]}]`, datasets.EmptyTurn},
		{`[` + system + `,` + system + `,` + user + `,` + assistant + `]`, datasets.LateSystem}, {`[` + user + `,` + system + `,` + assistant + `]`, datasets.LateSystem},
		{`[` + assistant + `]`, datasets.AssistantFirst}, {`[` + system + `,` + assistant + `]`, datasets.AssistantFirst},
		{`[` + user + `,` + user + `,` + assistant + `]`, datasets.NotAlternating}, {`[` + user + `,` + assistant + `,` + assistant + `]`, datasets.NotAlternating},
		{`[` + user + `,{"role":"tool","content":"x"},` + assistant + `]`, datasets.StrayTool}, {`[` + user + `]`, datasets.NoResponse}, {`[` + system + `]`, datasets.EmptyPrompt},
		{`[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]},` + assistant + `]`, datasets.NotText},
		{`[{"role":"user","content":"half \ud800"},` + assistant + `]`, datasets.InvalidUTF8},
	} {
		if _, got := one(t, datasets.FormatMessages, `{"messages":`+c.messages+`}`, nil); got[c.want] != 1 {
			t.Errorf("%s: got %v, want %s", c.messages, got, c.want)
		}
	}
	if _, got := one(t, datasets.FormatMessages, `{"messages":[`+user+`,`+assistant+`],"tools":"{"}`, func(o *datasets.Options) { o.Columns.Tools = "tools" }); got[datasets.BadTools] != 1 {
		t.Errorf("bad tools: %v", got)
	}
}

func TestOtherFormats(t *testing.T) {
	for _, c := range []struct {
		name, format, line string
		edit               func(*datasets.Options)
		want               datasets.Example
		reason             datasets.Reason
	}{
		{"alpaca", "alpaca", `{"instruction":"Add. ","input":"1 2","output":"3"}`, nil, datasets.Example{Prompt: "Add.\n\n1 2", Response: "3"}, ""},
		{"alpaca without input", "alpaca", `{"instruction":"Add.","output":"3"}`, nil, datasets.Example{Prompt: "Add.", Response: "3"}, ""},
		{"alpaca null input", "alpaca", `{"instruction":"Add.","input":null,"output":"3"}`, nil, datasets.Example{Prompt: "Add.", Response: "3"}, ""},
		{"alpaca empty", "alpaca", `{"instruction":" ","input":"","output":"3"}`, nil, datasets.Example{}, datasets.EmptyPrompt},
		{"alpaca empty output", "alpaca", `{"instruction":"a","input":"","output":""}`, nil, datasets.Example{}, datasets.EmptyResponse},
		{"alpaca system", "alpaca", `{"instruction":"a","output":"b","s":"be kind"}`, func(o *datasets.Options) { o.Columns.System = "s" },
			datasets.Example{Prompt: "a", Response: "b", Messages: `[{"role":"system","content":"be kind"},{"role":"user","content":"a"}]`}, ""},
		{"sharegpt", "sharegpt", `{"conversations":[{"from":"system","value":"s"},{"from":"human","value":"u\n\"q\""},{"from":"gpt","value":"a","weight":1}]}`, nil,
			datasets.Example{Prompt: "u\n\"q\"", Response: "a", Messages: `[{"role":"system","content":"s"},{"role":"user","content":"u\n\"q\""}]`}, ""},
		{"sharegpt role", "sharegpt", `{"conversations":[{"from":"narrator","value":"s"}]}`, nil, datasets.Example{}, datasets.UnknownRole},
		{"label", "classification", `{"text":"t","label":"spam"}`, nil, datasets.Example{Prompt: "t", Response: "spam"}, ""},
		{"label number", "classification", `{"text":"t","label":1}`, func(o *datasets.Options) { o.Labels = []string{"ham", "spam"} }, datasets.Example{Prompt: "t", Response: "spam"}, ""},
		{"label name", "classification", `{"text":"t","label":"ham"}`, func(o *datasets.Options) { o.Labels = []string{"ham", "spam"} }, datasets.Example{Prompt: "t", Response: "ham"}, ""},
		{"label out of range", "classification", `{"text":"t","label":-1}`, func(o *datasets.Options) { o.Labels = []string{"ham", "spam"} }, datasets.Example{}, datasets.UnknownLabel},
		{"label in a template", "classification", `{"text":"t","label":"x"}`, func(o *datasets.Options) { o.Template = "{text} is" }, datasets.Example{Prompt: "t is", Response: "x"}, ""},
		{"choice by index", "multiple_choice", `{"question":"q?","choices":["5","0"],"answer":0}`, nil,
			datasets.Example{Prompt: "q?\n\nA. 5\nB. 0", Response: "A", Choices: []string{"A", "B"}}, ""},
		{"choice by text", "multiple_choice", `{"question":"q?","choices":["5","0"],"answer":"0"}`, func(o *datasets.Options) { o.Respond = "text" },
			datasets.Example{Prompt: "q?\n\nA. 5\nB. 0", Response: "0", Choices: []string{"5", "0"}}, ""},
		{"choice by letter", "multiple_choice", `{"question":"q?","choices":["x","y"],"answer":"b"}`, nil, datasets.Example{Prompt: "q?\n\nA. x\nB. y", Response: "B", Choices: []string{"A", "B"}}, ""},
		{"choice as ARC has it", "multiple_choice", `{"question":"q?","choices":{"text":["x","y"],"label":["1","2"]},"answer":"2"}`, nil,
			datasets.Example{Prompt: "q?\n\nA. x\nB. y", Response: "B", Choices: []string{"A", "B"}}, ""},
		{"no such choice", "multiple_choice", `{"question":"q?","choices":["x","y"],"answer":2}`, nil, datasets.Example{}, datasets.UnknownAnswer},
		{"no such letter", "multiple_choice", `{"question":"q?","choices":["x","y"],"answer":"C"}`, nil, datasets.Example{}, datasets.UnknownAnswer},
		{"one choice", "multiple_choice", `{"question":"q?","choices":["x"],"answer":0}`, nil, datasets.Example{}, datasets.BadChoices},
		{"equal choices", "multiple_choice", `{"question":"q?","choices":["x","x "],"answer":0}`, nil, datasets.Example{}, datasets.BadChoices},
		{"choices as text", "multiple_choice", `{"question":"q?","choices":"x","answer":0}`, nil, datasets.Example{}, datasets.BadChoices},
		{"pair of texts", "preference", `{"prompt":"p","chosen":"good","rejected":"bad"}`, nil, datasets.Example{Prompt: "p", Response: "good", Rejected: "bad"}, ""},
		{"pair with its prompt", "preference", `{"chosen":[` + user + `,` + assistant + `],"rejected":[` + user + `,{"role":"assistant","content":"z"}]}`, nil,
			datasets.Example{Prompt: "u", Response: "a", Rejected: "z"}, ""},
		{"pair beside its prompt", "preference", `{"prompt":[` + system + `,` + user + `],"chosen":[` + assistant + `],"rejected":[{"role":"assistant","content":"z"}]}`, nil,
			datasets.Example{Prompt: "u", Response: "a", Rejected: "z", Messages: "[" + system + "," + user + "]"}, ""},
		{"pair of two prompts", "preference", `{"chosen":[` + user + `,` + assistant + `],"rejected":[{"role":"user","content":"v"},` + assistant + `]}`, nil, datasets.Example{}, datasets.UnequalPair},
		{"pair without rejected", "preference", `{"prompt":"p","chosen":"good","rejected":null}`, nil, datasets.Example{}, datasets.NullResponse},
		{"reference and group", "text", `{"p":"p","r":"r","ref":42,"g":"G1"}`, func(o *datasets.Options) {
			o.Columns = datasets.Columns{Prompt: "p", Response: "r", Reference: "ref", Group: "g"}
		}, datasets.Example{Prompt: "p", Response: "r", Reference: "42", Group: "G1"}, ""},
		{"no group", "text", `{"p":"p","r":"r","g":null}`, func(o *datasets.Options) { o.Columns = datasets.Columns{Prompt: "p", Response: "r", Group: "g"} }, datasets.Example{}, datasets.NullGroup},
	} {
		got, reason := one(t, c.format, c.line, c.edit)
		if c.reason != "" && reason[c.reason] != 1 || c.reason == "" && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v %v\nwant %+v %s", c.name, got, reason, c.want, c.reason)
		}
	}
}

// Rows that parquet-go writes nested come out as the same rows of JSON.
func TestNestedParquet(t *testing.T) {
	type call struct {
		Name string   `parquet:"name"`
		Args []string `parquet:"args,list"`
	}
	type message struct {
		Role    *string `parquet:"role,optional"`
		Content *string `parquet:"content,optional"`
		Name    *string `parquet:"name,optional"`
		Seed    *int64  `parquet:"seed,optional"`
		Calls   []call  `parquet:"tool_calls,list"`
	}
	type row struct {
		Messages []message        `parquet:"messages,list"`
		Old      []string         `parquet:"old"`
		Attrs    map[string]int32 `parquet:"attrs"`
	}
	text := func(s string) *string { return &s }
	n := int64(7)
	var rows []row
	for i := range 700 { // over several pages and row groups
		m := []message{{Role: text("user"), Content: text(fmt.Sprint("q\"", i)), Seed: &n}}
		for j := range i % 4 {
			m = append(m, message{Role: text("assistant"), Content: text(fmt.Sprint("a", i, "-", j)), Calls: []call{{Name: "f", Args: []string{"x", strings.Repeat("y", i)}}, {Name: "g"}}},
				message{Role: text("user"), Content: text("more")})
		}
		m = append(m, message{Role: text("assistant"), Content: text("done"), Name: text("bot")})
		rows = append(rows, row{Messages: m, Old: make([]string, i%3), Attrs: map[string]int32{"k": int32(i)}})
	}
	path := filepath.Join(t.TempDir(), "nested.parquet")
	if err := parquet.WriteFile(path, rows, parquet.MaxRowsPerRowGroup(300), parquet.PageBufferSize(2000)); err != nil {
		t.Fatal(err)
	}
	list := load(t, of(datasets.FormatMessages, path)).Splits["train"]
	if len(list) != len(rows) {
		t.Fatalf("%d examples of %d rows", len(list), len(rows))
	}
	for i, e := range list {
		want := `{"role":"user","content":"q\"` + fmt.Sprint(i) + `","seed":7`
		if !strings.HasPrefix(e.Messages, "["+want) || e.Response != "done" || e.Turn != `{"role":"assistant","content":"done","name":"bot","tool_calls":[]}` && e.Turn != `{"role":"assistant","content":"done","name":"bot"}` {
			t.Fatalf("row %d: %+v", i, e)
		}
		if got := strings.Count(e.Messages, `"tool_calls":[{"name":"f","args":["x","`+strings.Repeat("y", i)+`"]},{"name":"g","args":[]}]`); got != i%4 {
			t.Fatalf("row %d: %d calls in %s", i, got, e.Messages)
		}
	}
	for column, want := range map[string]string{"old": "1 wrong_type", "attrs": "1 wrong_type", "messages.list.element.role": "1 wrong_type"} {
		o := of("", path)
		o.Columns.Prompt, o.PromptOnly = column, true
		wantError(t, column, fails(t, o), want[2:])
	}
}

// Files that DuckDB wrote.
func TestNestedRealFiles(t *testing.T) {
	d := load(t, of(datasets.FormatMessages, shared(t, "data", "gsm8k-messages.parquet")))
	list := d.Splits["train"]
	if len(list) != 2000 || len(d.Counts.Rejected) > 0 {
		t.Fatalf("%d examples, rejected %v", len(list), d.Counts.Rejected)
	}
	if e := list[0]; !strings.HasPrefix(e.Prompt, "Natalia sold clips") || !strings.HasSuffix(e.Response, "#### 72") ||
		!strings.HasPrefix(e.Messages, `[{"role":"system","content":"Solve the problem. End with the answer after ####."},{"role":"user","content":"Natalia`) {
		t.Errorf("first %+v", e)
	}
	o := of("", shared(t, "data", "gsm8k-recorded-teachers.parquet"))
	o.Columns = datasets.Columns{Prompt: "question", Response: "response", Reference: "reference", Group: "id"}
	o.Split = map[string]float64{"test": 0.2}
	d = load(t, o)
	if n := d.Len("train") + d.Len("test"); n != d.Counts.Rows || n < 5000 {
		t.Errorf("recorded: %+v", d.Counts)
	}
	o = of("", shared(t, "data", "pubmedqa.parquet"))
	o.Template, o.Columns = "{context}\n\n{question}", datasets.Columns{Response: "answer", ID: "id"}
	if d = load(t, o); d.Len("train") != 1000 || len(d.Labels()) != 3 {
		t.Errorf("pubmedqa: %+v, labels %q", d.Counts, d.Labels())
	}
}

// A list that is null is none, and one that is empty has no turns.
func TestNullAndEmptyLists(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lists.parquet")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w := parquet.NewWriter(file, parquet.NewSchema("rows", parquet.Group{"messages": parquet.Optional(parquet.List(
		parquet.Group{"content": parquet.String(), "role": parquet.String()}))}))
	null := parquet.NullValue()
	value := func(text string, repetition, column int) parquet.Value {
		return parquet.ValueOf(text).Level(repetition, 2, column)
	}
	rows := []parquet.Row{
		{null.Level(0, 0, 0), null.Level(0, 0, 1)}, {null.Level(0, 1, 0), null.Level(0, 1, 1)},
		{value("u", 0, 0), value("a", 1, 0), value("user", 0, 1), value("assistant", 1, 1)},
	}
	if _, err := w.WriteRows(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	d := load(t, of(datasets.FormatMessages, path))
	if want := map[datasets.Reason]int{datasets.NullPrompt: 1, datasets.EmptyPrompt: 1}; d.Len("train") != 1 || !reflect.DeepEqual(d.Counts.Rejected, want) {
		t.Errorf("%d examples, rejected %v", d.Len("train"), d.Counts.Rejected)
	}
}

// Class names that Hugging Face's datasets keeps in a file are the labels.
func TestClassLabelsOfAFile(t *testing.T) {
	type row struct {
		Text  string `parquet:"text"`
		Label int64  `parquet:"label"`
	}
	path := filepath.Join(t.TempDir(), "classes.parquet")
	features := `{"info": {"features": {"text": {"dtype": "string", "_type": "Value"}, "label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}}}`
	if err := parquet.WriteFile(path, []row{{"a", 1}, {"b", 0}, {"c", 2}}, parquet.KeyValueMetadata("huggingface", features)); err != nil {
		t.Fatal(err)
	}
	d := load(t, of(datasets.FormatClassification, path))
	if want := []string{"a=pos", "b=neg"}; !reflect.DeepEqual(pairs(d), want) || d.Counts.Rejected[datasets.UnknownLabel] != 1 {
		t.Errorf("got %q, rejected %v", pairs(d), d.Counts.Rejected)
	}
}
