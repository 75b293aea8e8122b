package refine_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/distill/refine"
)

const orderSchema = `{"type":"object","properties":{"id":{"type":"integer"},"state":{"enum":["open","shipped"]}},"required":["id","state"],"additionalProperties":false}`

func TestCheck(t *testing.T) {
	labels := []string{"card_arrival", "card_not_working", "Refund"}
	schema := refine.Accept{Schema: "order.json"}
	for _, c := range []struct {
		name    string
		accept  refine.Accept
		answer  string
		finish  string
		text    string // "" means the answer
		faulted string // validators, with a part of the message after a colon
	}{
		{"nothing set", refine.Accept{}, "", "length", "", ""},
		{"regex", refine.Accept{Regex: `^\d+$`}, "42", "stop", "", ""},
		{"regex, no match", refine.Accept{Regex: `^\d+$`}, "42!", "stop", "", `regex:nothing matches ^\d+$`},
		{"not_regex", refine.Accept{NotRegex: `(?i)password`}, "Your PassWord is", "stop", "", `not_regex:"PassWord" matches`},
		{"JSON", schema, ` {"id": 1, "state": "open"} `, "stop", `{"id": 1, "state": "open"}`, ""},
		{"fenced JSON", schema, "```json\n{\"id\": 1, \"state\": \"open\"}\n```", "stop", `{"id": 1, "state": "open"}`, ""},
		{"fence without a name", schema, "```\n{\"id\": 1, \"state\": \"open\"}```\n", "stop", `{"id": 1, "state": "open"}`, ""},
		{"chatter before", schema, "Here it is:\n{\"id\": 1, \"state\": \"open\"}", "stop", "", "schema:no JSON"},
		{"chatter after", schema, "{\"id\": 1, \"state\": \"open\"}\nDone!", "stop", "", "schema:text after the JSON value"},
		{"two values", schema, `{"id": 1, "state": "open"}{}`, "stop", "", "schema:text after"},
		{"text after the fence", schema, "```json\n{}\n``` ok", "stop", "", "schema:a ``` fence that is not closed"},
		{"cut", schema, `{"id": 1, "sta`, "length", "", "schema:no JSON: it ends too early"},
		{"wrong type", schema, `{"id": "1", "state": "open"}`, "stop", "", "schema:at '/id'"},
		{"wrong value", schema, `{"id": 1, "state": "lost"}`, "stop", "", "schema:at '/state'"},
		{"missing key", schema, `{"id": 1}`, "stop", "", "schema:missing property 'state'"},
		{"empty answer", schema, "", "stop", "", "schema:no JSON"},
		{"huge number", schema, `{"id": 1e999999999, "state": "open"}`, "stop", "", "schema:a number that is too long"},
		{"deep JSON", schema, strings.Repeat("[", 1<<19), "stop", "", "schema:no JSON"},
		{"deep whole JSON", schema, strings.Repeat("[", 9000) + strings.Repeat("]", 9000), "stop", "", "schema:want object"},
		{"label", refine.Accept{Labels: labels}, "refund", "stop", "Refund", ""},
		{"label as written", refine.Accept{Labels: labels, KeepSpelling: true}, "**refund**.", "stop", "", ""},
		{"label with a lead", refine.Accept{Labels: labels}, "Label: `card arrival`", "stop", "card_arrival", ""},
		{"label with hyphens", refine.Accept{Labels: labels}, "card-not_ working", "stop", "card_not_working", ""},
		{"no label", refine.Accept{Labels: labels}, "I think it is card_arrival", "stop", "", `labels:"I think it is card_arrival" is none of the 3 labels`},
		{"two labels", refine.Accept{Labels: labels}, "card_arrival, Refund", "stop", "", "labels:"},
		{"short", refine.Accept{MinChars: 3}, "  äö  ", "stop", "", "min_chars:2 characters, want 3 or more"},
		{"just long enough", refine.Accept{MinChars: 3, MaxChars: 3}, "äöü", "stop", "", ""},
		{"long", refine.Accept{MaxChars: 3}, "äöüß", "stop", "", "max_chars:4 characters, want 3 or fewer"},
		{"language", refine.Accept{Languages: []string{"de", "fr"}}, "Das ist nicht die richtige Karte.", "stop", "", ""},
		{"other language", refine.Accept{Languages: []string{"de", "fr"}}, "This is not the right card.", "stop", "", "languages:it reads like en, want de or fr"},
		{"no language", refine.Accept{Languages: []string{"de"}}, "42", "stop", "", ""},
		{"no language, strictly", refine.Accept{Languages: []string{"de"}, UnknownLanguage: "reject"}, "42", "stop", "", "languages:too little text"},
		{"refusal", refine.Accept{NoRefusals: true}, "I'm sorry, but I can't help with that.", "stop", "", "no_refusals:the teacher refused"},
		{"refusal by finish", refine.Accept{NoRefusals: true}, "", "content_filter", "", "no_refusals:the teacher refused: finish reason content_filter"},
		{"complete", refine.Accept{Complete: true}, "x", "stop", "", ""},
		{"cut short", refine.Accept{Complete: true}, "x", "length", "", `complete:the answer ended by "length"`},
		{"end not known", refine.Accept{Complete: true}, "x", "", "", "complete:"},
		{"numeric", refine.Accept{Numeric: &refine.Numeric{}}, "So the answer is 42.", "stop", "", ""},
		{"numeric, wrong", refine.Accept{Numeric: &refine.Numeric{}}, "So the answer is 41.", "stop", "", "numeric:the final number is 41, want 42"},
		{"numeric, none", refine.Accept{Numeric: &refine.Numeric{}}, "No idea.", "stop", "", "numeric:no final number, want 42"},
		{"all at once", refine.Accept{Regex: "x", MinChars: 9, Complete: true}, "no", "length", "", "complete:;regex:;min_chars:"},
	} {
		checker, err := refine.NewChecker(c.accept, []byte(orderSchema))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		text, faults := checker.Check(c.answer, "6 * 7 = 42\n#### 42", c.finish)
		if want := c.text; text != want && !(want == "" && text == c.answer) {
			t.Errorf("%s: text %q, want %q", c.name, text, want)
		}
		var want []string
		if c.faulted != "" {
			want = strings.Split(c.faulted, ";")
		}
		if len(faults) != len(want) {
			t.Errorf("%s: faults %v, want %q", c.name, faults, want)
			continue
		}
		for i, f := range faults {
			name, part, _ := strings.Cut(want[i], ":")
			if f.Validator != name || !strings.Contains(f.Message, part) || len(f.Message) > 300 {
				t.Errorf("%s: fault %v, want %q", c.name, f, want[i])
			}
		}
	}
}

func TestCheckWithoutReference(t *testing.T) {
	checker, err := refine.NewChecker(refine.Accept{Numeric: &refine.Numeric{}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, faults := checker.Check("42", "no number here", "stop"); len(faults) != 1 || !strings.Contains(faults[0].Message, "the reference") {
		t.Errorf("faults %v", faults)
	}
}

func TestSchemasAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ schema, want string }{
		"empty":          {"", "empty"},
		"no JSON":        {"{", "no JSON"},
		"no schema":      {`{"type": 7}`, "schema.json"},
		"a file":         {`{"$ref": "file:///etc/passwd"}`, "must stand by itself"},
		"an address":     {`{"$ref": "http://127.0.0.1:9/x.json"}`, "must stand by itself"},
		"another schema": {`{"$schema": "http://127.0.0.1:9/meta"}`, "must stand by itself"},
		"nowhere":        {`{"$ref": "#/$defs/none"}`, "schema.json"},
		"a look-ahead":   {`{"pattern": "(?=x)y"}`, "schema.json"},
		"huge number":    {`{"multipleOf": 1e-999999999}`, "too long"},
	} {
		_, err := refine.NewChecker(refine.Accept{Schema: "schema.json"}, []byte(c.schema))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "schema: schema.json: ") {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
	if _, err := refine.NewChecker(refine.Accept{Schema: "s"}, []byte(`{"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"type":"string"}},"$ref":"#/$defs/a"}`)); err != nil {
		t.Errorf("a schema that refers to itself: %v", err)
	}
}

func TestAcceptValidate(t *testing.T) {
	for _, c := range []struct {
		accept refine.Accept
		want   string // empty: valid
	}{
		{refine.Accept{}, ""},
		{refine.Accept{Regex: "a", NotRegex: "b", Schema: "c", Numeric: &refine.Numeric{Tolerance: 1}, Labels: []string{"d"}, MinChars: 1, MaxChars: 1, Languages: []string{"en"}, UnknownLanguage: "reject"}, ""},
		{refine.Accept{Regex: "("}, "regex: error parsing regexp"},
		{refine.Accept{NotRegex: "(?=x)"}, "not_regex: error parsing regexp"},
		{refine.Accept{Regex: strings.Repeat("a", 10_001)}, "regex: 10001 bytes"},
		{refine.Accept{Numeric: &refine.Numeric{Tolerance: -1}}, "numeric.tolerance: -1"},
		{refine.Accept{Labels: []string{"a", "A."}}, `labels: "a" and "A." are alike`},
		{refine.Accept{Labels: []string{"card_lost", "card lost"}}, `are alike`},
		{refine.Accept{Labels: []string{" "}}, `labels: " ": a label needs a letter`},
		{refine.Accept{KeepSpelling: true}, "keep_spelling: there are no labels"},
		{refine.Accept{MinChars: -1}, "min_chars: -1"},
		{refine.Accept{MinChars: 5, MaxChars: 4}, "max_chars: 4"},
		{refine.Accept{Languages: []string{"german"}}, `languages: "german": want codes out of ar bg`},
		{refine.Accept{UnknownLanguage: "reject"}, "unknown_language: there are no languages"},
		{refine.Accept{Languages: []string{"de"}, UnknownLanguage: "maybe"}, `unknown_language: "maybe": want accept or reject`},
	} {
		err := c.accept.Validate()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: error %v, want %q", c.accept, err, c.want)
		}
	}
	if err := (refine.Accept{Regex: "(", NotRegex: "(", MinChars: -1}).Validate(); strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("three faults: %v", err)
	}
}

func TestOptionsHaveTags(t *testing.T) {
	for _, o := range []reflect.Type{reflect.TypeFor[refine.Accept](), reflect.TypeFor[refine.Numeric](), reflect.TypeFor[refine.Choose](),
		reflect.TypeFor[refine.Judge](), reflect.TypeFor[refine.Rationale](), reflect.TypeFor[refine.RationaleExample](), reflect.TypeFor[refine.Synthesis]()} {
		for i := range o.NumField() {
			if o.Field(i).Tag.Get("yaml") == "" {
				t.Errorf("%s.%s has no recipe key", o, o.Field(i).Name)
			}
		}
	}
}

func TestCounts(t *testing.T) {
	n := refine.Counts{}
	n.Add([]refine.Fault{{Validator: "regex"}, {Validator: "regex"}, {Validator: "labels"}})
	n.Add(nil)
	n.Add([]refine.Fault{{Validator: "regex"}})
	if got := n.String(); got != "labels 1, regex 2" {
		t.Error(got)
	}
}

func TestRefusal(t *testing.T) {
	for _, text := range []string{
		"I'm sorry, but I can't help with that.",
		"I’m sorry, but I cannot assist with that request.",
		"Sorry, I can't provide information on that topic.",
		"I cannot and will not comply. I can't provide instructions for this.",
		"I'm unable to help with this one.",
		"Unfortunately, I am not able to share that.",
		"As an AI language model, I don't have access to your account.",
		"As a large language model I cannot write that.",
		"I apologize, but I cannot fulfill this request.",
		"**I must decline** to write this.",
		"Es tut mir leid, aber ich kann Ihnen dabei nicht helfen.",
		"Leider kann ich diese Frage nicht beantworten.",
		"Je suis désolé, mais je ne peux pas vous aider avec cette demande.",
		"Lo siento, pero no puedo ayudarte con eso.",
		"Mi dispiace, ma non posso aiutarti con questa richiesta.",
		"Desculpe, mas não posso ajudar com isso.",
		"Het spijt me, maar ik kan je daar niet mee helpen.",
		"Przykro mi, ale nie mogę pomóc w tej sprawie.",
		"Извините, но я не могу помочь с этим запросом.",
		"Üzgünüm, bu konuda yardımcı olamam.",
		"很抱歉，我无法提供这方面的信息。",
		"申し訳ございませんが、そのご質問にはお答えできません。",
		"죄송하지만 그 요청은 도와드릴 수 없습니다.",
		"عذرًا، لا يمكنني المساعدة في ذلك.",
		"माफ़ कीजिए, मैं इस अनुरोध में मदद नहीं कर सकता।",
	} {
		if refine.Refusal(text, "stop") == "" {
			t.Errorf("no refusal: %s", text)
		}
	}
	for _, text := range []string{
		"",
		"I'm sorry to hear that your card is lost. Please freeze it in the app, and we will send a new one.",
		"You can't transfer money before your account is verified. Here is how to do that:",
		"As an AI researcher, I would start with a baseline.",
		"As an AI assistant, I'd be happy to help with that! First, open the settings.",
		"I can help with that. Which card is it?",
		"The museum cannot accept refunds after 14 days, but it offers credit.",
		"Ich helfe Ihnen gern. Karten können nicht zurückgesandt werden, bitte vernichten Sie sie.",
		"Je peux vous aider : ouvrez les réglages.",
		"No puedo creer lo rápido que llegó; para activarla, abre la aplicación.",
		"He said: 42 apples remain.",
		strings.Repeat("To write a polite letter, begin with a greeting. ", 8) + "I'm sorry, but I can't help with that.",
	} {
		if why := refine.Refusal(text, "stop"); why != "" {
			t.Errorf("a refusal, %s: %s", why, text)
		}
	}
	for _, finish := range []string{"refusal", "content_filter", "SAFETY"} {
		if refine.Refusal("Sure, here it is.", finish) == "" {
			t.Errorf("finish reason %s is no refusal", finish)
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, s := range []string{`{"id": 1, "state": "open"}`, "```json\n{}\n```", "[[[", `{"id": 1e99}`, "I can't help", "\xff", "Label: refund", "```", "``````"} {
		f.Add(s)
	}
	checker, err := refine.NewChecker(refine.Accept{Regex: "a+$", NotRegex: "b", Schema: "s", Numeric: &refine.Numeric{}, Labels: []string{"refund"},
		Languages: []string{"en"}, NoRefusals: true, Complete: true}, []byte(orderSchema))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, faults := checker.Check(text, text, "stop")
		_, again := checker.Check(text, text, "stop")
		if !slices.Equal(faults, again) {
			t.Fatalf("%v, and then %v", faults, again)
		}
	})
}
