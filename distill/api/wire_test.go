package api

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/internal/model"
)

// toolTalk is a conversation with a call and what it returned.
const toolTalk = `[{"role":"system","content":"Be brief."},{"role":"user","content":"Weather in Bern?"},
{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Bern\"}"}}]},
{"role":"tool","tool_call_id":"c1","content":"7 °C"},{"role":"user","content":[{"type":"text","text":"And <now>?"}]}]`

const weatherTool = `[{"type":"function","function":{"name":"weather","description":"It says it.","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}}]`

// TestBodies: what is sent, written after the providers' references.
func TestBodies(t *testing.T) {
	for _, test := range []struct {
		name, path, want string
		o                Options
		r                distill.Request
	}{
		{"openai", "/chat/completions", `{"model":"m","messages":[{"role":"system","content":"S"},{"role":"user","content":"hi"}],"max_tokens":5,
			"temperature":0.5,"top_p":0.9,"seed":7,"stop":["END"],"logprobs":true,"top_logprobs":3}`,
			Options{API: OpenAI, Model: "m", System: "S", Stop: []string{"END"}},
			distill.Request{Prompt: "hi", MaxTokens: 5, Seed: 7, TopK: 3, Sampling: model.Sampling{Temperature: 0.5, TopP: 0.9}}},
		{"openai reasoning", "/chat/completions", `{"model":"o","messages":[{"role":"user","content":"hi"}],"max_completion_tokens":1256,"reasoning_effort":"low"}`,
			Options{API: OpenAI, Model: "o", MaxTokensField: "max_completion_tokens", FixedSampling: true, ThinkingTokens: 1000,
				ExtraBody: map[string]any{"reasoning_effort": "low"}},
			distill.Request{Prompt: "hi", Seed: 7, Sampling: model.Sampling{Temperature: 1}}},
		{"openai schema and tools", "/chat/completions", `{"model":"m","messages":` + toolTalk + `,"max_tokens":256,"temperature":0,"tools":` + weatherTool + `,
			"response_format":{"type":"json_schema","json_schema":{"name":"answer","strict":true,"schema":{"type":"object"}}}}`,
			Options{API: OpenAI, Model: "m", System: "not used"},
			distill.Request{Messages: toolTalk, Tools: weatherTool, Schema: `{"type":"object"}`}},
		{"azure", "/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21", `{"model":"my gpt","messages":[{"role":"user","content":"hi"}],"max_tokens":256,"temperature":0}`,
			Options{API: Azure, Model: "my gpt", BaseURL: "https://x.openai.azure.com", APIVersion: "2024-10-21"}, distill.Request{Prompt: "hi"}},
		{"completions", "/completions", `{"model":"m","prompt":"Once","max_tokens":256,"temperature":0,"logprobs":2}`,
			Options{API: Completions, Model: "m", BaseURL: "http://h"}, distill.Request{Prompt: "Once", TopK: 2}},
		{"completions score", "/completions", `{"model":"m","prompt":"Once upon","max_tokens":1,"temperature":0,"logprobs":1,"echo":true}`,
			Options{API: Completions, Model: "m", BaseURL: "http://h"}, distill.Request{Prompt: "Once", Given: new(" upon")}},
		{"anthropic", "/messages", `{"model":"c","system":"Be brief.","max_tokens":256,"temperature":0,"messages":[
			{"role":"user","content":[{"type":"text","text":"Weather in Bern?"}]},
			{"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"weather","input":{"city":"Bern"}}]},
			{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":"7 °C"},{"type":"text","text":"And <now>?"}]}],
			"tools":[{"name":"weather","description":"It says it.","input_schema":{"type":"object","properties":{"city":{"type":"string"}}}}]}`,
			Options{API: Anthropic, Model: "c"}, distill.Request{Messages: toolTalk, Tools: weatherTool}},
		{"anthropic thinking", "/messages", `{"model":"c","max_tokens":2148,"thinking":{"type":"enabled","budget_tokens":2048},"stop_sequences":["X"],
			"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}`,
			Options{API: Anthropic, Model: "c", ThinkingTokens: 2048, Stop: []string{"X"}}, distill.Request{Prompt: "hi", MaxTokens: 100}},
		{"anthropic schema", "/messages", `{"model":"c","max_tokens":256,"temperature":1,"top_k":4,"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}],
			"tools":[{"name":"answer","description":"Give the answer.","input_schema":{"type":"object"}}],"tool_choice":{"type":"tool","name":"answer"}}`,
			Options{API: Anthropic, Model: "c"}, distill.Request{Prompt: "hi", Schema: `{"type":"object"}`, Sampling: model.Sampling{Temperature: 1, TopK: 4}}},
		{"gemini", "/models/g:generateContent", `{"systemInstruction":{"parts":[{"text":"Be brief."}]},"contents":[
			{"role":"user","parts":[{"text":"Weather in Bern?"}]},
			{"role":"model","parts":[{"functionCall":{"name":"weather","args":{"city":"Bern"}}}]},
			{"role":"user","parts":[{"functionResponse":{"name":"weather","response":{"result":"7 °C"}}},{"text":"And <now>?"}]}],
			"tools":[{"functionDeclarations":[{"name":"weather","description":"It says it.","parametersJsonSchema":{"type":"object","properties":{"city":{"type":"string"}}}}]}],
			"generationConfig":{"maxOutputTokens":256,"candidateCount":1,"temperature":0}}`,
			Options{API: Gemini, Model: "g"}, distill.Request{Messages: toolTalk, Tools: weatherTool}},
		{"gemini config", "/models/g:generateContent", `{"contents":[{"role":"user","parts":[{"text":"hi"}]}],
			"generationConfig":{"maxOutputTokens":356,"candidateCount":1,"temperature":1,"topP":0.5,"topK":9,"seed":3,"stopSequences":["X"],"responseLogprobs":true,"logprobs":2,
			"thinkingConfig":{"thinkingBudget":100,"includeThoughts":true},"responseMimeType":"application/json","responseJsonSchema":{"type":"object"},"extra":1}}`,
			Options{API: Gemini, Model: "g", ThinkingTokens: 100, Stop: []string{"X"}, ExtraBody: map[string]any{"generationConfig": map[string]any{"extra": 1}}},
			distill.Request{Prompt: "hi", Seed: 3, TopK: 2, Schema: `{"type":"object"}`, Sampling: model.Sampling{Temperature: 1, TopP: 0.5, TopK: 9}}},
	} {
		if err := test.o.Validate(); err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		o := test.o.WithDefaults()
		w := newWire(o)
		if err := w.can(&test.r); err != nil || w.path() != test.path {
			t.Errorf("%s: path %s, error %v", test.name, w.path(), err)
		}
		data, err := o.encode(w, &test.r)
		var got, want any
		if err != nil || json.Unmarshal(data, &got) != nil || json.Unmarshal([]byte(test.want), &want) != nil {
			t.Errorf("%s: %s, error %v", test.name, data, err)
			continue
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: sends\n%s\nwant\n%s", test.name, data, test.want)
		}
	}
}

func TestSamplesDiffer(t *testing.T) {
	seen := map[uint64]bool{}
	for sample := range 100 {
		s := seed(&distill.Request{Seed: 1, Sample: sample})
		if seen[s] || s > 1<<31-1 {
			t.Errorf("sample %d: seed %d", sample, s)
		}
		seen[s] = true
	}
}

func TestRefusedBodies(t *testing.T) {
	for _, test := range []struct {
		o    Options
		r    distill.Request
		want string
	}{
		{Options{API: OpenAI}, distill.Request{Messages: "{"}, "messages: "},
		{Options{API: OpenAI}, distill.Request{Messages: "[]"}, "there are none"},
		{Options{API: OpenAI}, distill.Request{Messages: `[{"content":"x"}]`}, "messages[0].role"},
		{Options{API: OpenAI}, distill.Request{Tools: "7"}, "tools: "},
		{Options{API: OpenAI}, distill.Request{Schema: "null"}, "schema: null"},
		{Options{API: OpenAI}, distill.Request{Given: new("x")}, "do not score"},
		{Options{API: Completions}, distill.Request{Messages: "[1]"}, "conversations"},
		{Options{API: Completions}, distill.Request{Prompt: "x", Given: new("")}, "text in it"},
		{Options{API: Completions}, distill.Request{Schema: "{}"}, "no tools and schemas"},
		{Options{API: Anthropic}, distill.Request{TopK: 2}, "no log-probabilities"},
		{Options{API: Anthropic}, distill.Request{Sampling: model.Sampling{Temperature: 1.5}}, "takes 0 to 1"},
		{Options{API: Anthropic}, distill.Request{Messages: `[{"role":"assistant","content":"x"}]`}, "the first has to be"},
		{Options{API: Anthropic}, distill.Request{Messages: `[{"role":"system","content":"x"}]`}, "none of a user"},
		{Options{API: Anthropic}, distill.Request{Messages: `[{"role":"bard","content":"x"}]`}, `"bard" is unknown`},
		{Options{API: Gemini}, distill.Request{Messages: `[{"role":"tool","tool_call_id":"q","content":"x"}]`}, "no such call"},
		{Options{API: Gemini}, distill.Request{Messages: `[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}]`}, "not by address"},
		{Options{API: Gemini}, distill.Request{Sampling: model.Sampling{MinP: 0.1}}, "no min_p"},
	} {
		o := test.o.WithDefaults()
		w := newWire(o)
		err := w.can(&test.r)
		if err == nil {
			_, err = o.encode(w, &test.r)
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s %+v: error %v, want %q", o.API, test.r, err, test.want)
		}
	}
}

// TestResponses: what is made of responses, written after the providers' references.
func TestResponses(t *testing.T) {
	usage := distill.Usage{PromptTokens: 10, CachedTokens: 4, AnswerTokens: 6, ReasoningTokens: 2}
	const openUsage = `"usage":{"prompt_tokens":10,"completion_tokens":6,"total_tokens":16,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":2}}`
	for _, test := range []struct {
		name, api, body string
		r               distill.Request
		want            distill.Answer
	}{
		{"openai", OpenAI, `{"model":"gpt-x","system_fingerprint":"fp","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"Hi","refusal":null},"logprobs":null}],` + openUsage + `}`,
			distill.Request{}, distill.Answer{Text: "Hi", Model: "gpt-x", Fingerprint: "fp", Finish: distill.FinishStop, Usage: usage}},
		{"openai refusal", OpenAI, `{"choices":[{"finish_reason":"stop","message":{"content":null,"refusal":"I can't."}}]}`,
			distill.Request{}, distill.Answer{Text: "I can't.", Finish: distill.FinishRefusal}},
		{"openai filter", OpenAI, `{"choices":[{"finish_reason":"content_filter","message":{"content":""}}]}`,
			distill.Request{TopK: 2}, distill.Answer{Finish: distill.FinishRefusal}},
		{"openai empty", OpenAI, `{"choices":[{"finish_reason":"stop","message":{"content":" \n"}}]}`,
			distill.Request{}, distill.Answer{Text: " \n", Finish: distill.FinishEmpty}},
		{"openai tools", OpenAI, `{"choices":[{"finish_reason":"stop","message":{"content":null,"tool_calls":[{"id":"a"}]}}]}`,
			distill.Request{}, distill.Answer{ToolCalls: `[{"id":"a"}]`, Finish: distill.FinishTools}},
		{"openai reasoning_content", OpenAI, `{"choices":[{"finish_reason":"length","message":{"content":"42","reasoning_content":"hm"}}]}`,
			distill.Request{}, distill.Answer{Text: "42", Reasoning: "hm", Finish: distill.FinishLength}},
		{"openai reasoning", OpenAI, `{"choices":[{"finish_reason":"stop","message":{"content":"42","reasoning":"hm"}}]}`,
			distill.Request{}, distill.Answer{Text: "42", Reasoning: "hm", Finish: distill.FinishStop}},
		{"openai think", OpenAI, `{"choices":[{"finish_reason":"stop","message":{"content":"<think>\nhm\n</think>\n\n42 </think> x"}}]}`,
			distill.Request{}, distill.Answer{Text: "42 </think> x", Reasoning: "hm", Finish: distill.FinishStop}},
		{"openai think cut", OpenAI, `{"choices":[{"finish_reason":"length","message":{"content":"<think>hm"}}]}`,
			distill.Request{}, distill.Answer{Reasoning: "hm", Finish: distill.FinishLength}},
		{"openai half usage", OpenAI, `{"choices":[{"finish_reason":"stop","message":{"content":"x"}}],"usage":{"prompt_tokens":10}}`,
			distill.Request{}, distill.Answer{Text: "x", Finish: distill.FinishStop}},
		{"openai negative usage", OpenAI, `{"choices":[{"finish_reason":"stop","message":{"content":"x"}}],"usage":{"prompt_tokens":10,"completion_tokens":-5}}`,
			distill.Request{}, distill.Answer{Text: "x", Finish: distill.FinishStop}},
		{"openai logprobs", OpenAI, `{"choices":[{"finish_reason":"stop","message":{"content":"é"},"logprobs":{"content":[
			{"token":"\\xc3","logprob":-0.5,"bytes":[195],"top_logprobs":[{"token":"e","logprob":-2,"bytes":null},{"token":"\\xc3","logprob":-0.5,"bytes":[195]},{"token":"q","logprob":-9999,"bytes":[113]}]},
			{"token":"\\xa9","logprob":0.00001,"bytes":[169],"top_logprobs":[]}]}}]}`,
			distill.Request{TopK: 3}, distill.Answer{Text: "é", Finish: distill.FinishStop, Pieces: []distill.Piece{
				{Bytes: []byte{195}, LogProb: -0.5, Top: []distill.Alternative{{Bytes: []byte{195}, LogProb: -0.5}, {Bytes: []byte("e"), LogProb: -2}}},
				{Bytes: []byte{169}}}}},
		{"completions", Completions, `{"model":"m","choices":[{"text":" a","finish_reason":"length","logprobs":{"tokens":[" a"],"token_logprobs":[-1],"top_logprobs":[{" a":-1,"bytes:\\xe2\\x80":-0.5}]}}],` + openUsage + `}`,
			distill.Request{TopK: 2}, distill.Answer{Text: " a", Model: "m", Finish: distill.FinishLength, Usage: usage, Pieces: []distill.Piece{
				{Bytes: []byte(" a"), LogProb: -1, Top: []distill.Alternative{{Bytes: []byte{0xe2, 0x80}, LogProb: -0.5}, {Bytes: []byte(" a"), LogProb: -1}}}}}},
		{"completions of llama.cpp", Completions, `{"model":"m","choices":[{"text":" a","finish_reason":"length","logprobs":{"content":[{"id":1,"token":" a","bytes":[32,97],"logprob":-1,"top_logprobs":[{"id":1,"token":" a","bytes":[32,97],"logprob":-1}]}]}}]}`,
			distill.Request{TopK: 1}, distill.Answer{Text: " a", Model: "m", Finish: distill.FinishLength, Pieces: []distill.Piece{
				{Bytes: []byte(" a"), LogProb: -1, Top: []distill.Alternative{{Bytes: []byte(" a"), LogProb: -1}}}}}},
		{"completions score", Completions, `{"choices":[{"text":"Once upon a","finish_reason":"length","logprobs":{"tokens":["<s>","On","ce"," up","on"," a"],
			"token_logprobs":[null,-9,-8,-2,-0.5,-3],"top_logprobs":[null,{"x":-1},{"x":-1},{" up":-2},{"on":-0.5},{"z":-1}]}}]}`,
			distill.Request{Prompt: "Once", Given: new(" upon"), TopK: 1}, distill.Answer{Text: " upon", Finish: distill.FinishGiven, Pieces: []distill.Piece{
				{Bytes: []byte(" up"), LogProb: -2, Top: []distill.Alternative{{Bytes: []byte(" up"), LogProb: -2}}},
				{Bytes: []byte("on"), LogProb: -0.5, Top: []distill.Alternative{{Bytes: []byte("on"), LogProb: -0.5}}}}}},
		{"anthropic", Anthropic, `{"id":"m","type":"message","role":"assistant","model":"c-1","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"4"},{"type":"text","text":"2"}],
			"stop_reason":"end_turn","usage":{"input_tokens":5,"output_tokens":6,"cache_creation_input_tokens":1,"cache_read_input_tokens":4}}`,
			distill.Request{}, distill.Answer{Text: "42", Reasoning: "hm", Model: "c-1", Finish: distill.FinishStop, Usage: distill.Usage{PromptTokens: 10, CachedTokens: 4, AnswerTokens: 6}}},
		{"anthropic tools", Anthropic, `{"type":"message","content":[{"type":"tool_use","id":"t","name":"f","input":{"a":"<1>"}}],"stop_reason":"tool_use"}`,
			distill.Request{}, distill.Answer{ToolCalls: `[{"id":"t","type":"function","function":{"name":"f","arguments":"{\"a\":\"<1>\"}"}}]`, Finish: distill.FinishTools}},
		{"anthropic schema", Anthropic, `{"type":"message","content":[{"type":"tool_use","id":"t","name":"answer","input":{"a":1}}],"stop_reason":"tool_use"}`,
			distill.Request{Schema: "{}"}, distill.Answer{Text: `{"a":1}`, Finish: distill.FinishStop}},
		{"anthropic refusal", Anthropic, `{"type":"message","content":[],"stop_reason":"refusal"}`, distill.Request{}, distill.Answer{Finish: distill.FinishRefusal}},
		{"anthropic cut", Anthropic, `{"type":"message","content":[{"type":"text","text":"a"}],"stop_reason":"max_tokens"}`, distill.Request{}, distill.Answer{Text: "a", Finish: distill.FinishLength}},
		{"gemini", Gemini, `{"candidates":[{"content":{"role":"model","parts":[{"text":"hm","thought":true},{"text":"4"},{"text":"2"}]},"finishReason":"STOP","index":0}],
			"usageMetadata":{"promptTokenCount":10,"cachedContentTokenCount":4,"candidatesTokenCount":4,"thoughtsTokenCount":2,"totalTokenCount":16},"modelVersion":"g-1"}`,
			distill.Request{}, distill.Answer{Text: "42", Reasoning: "hm", Model: "g-1", Finish: distill.FinishStop, Usage: usage}},
		{"gemini blocked", Gemini, `{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":10,"totalTokenCount":10}}`,
			distill.Request{}, distill.Answer{Finish: distill.FinishRefusal, Usage: distill.Usage{PromptTokens: 10}}},
		{"gemini safety", Gemini, `{"candidates":[{"finishReason":"SAFETY"}]}`, distill.Request{}, distill.Answer{Finish: distill.FinishRefusal}},
		{"gemini call", Gemini, `{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a":1}}},{"functionCall":{"name":"g"}}]},"finishReason":"STOP"}]}`,
			distill.Request{}, distill.Answer{Finish: distill.FinishTools,
				ToolCalls: `[{"id":"call_0","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},{"id":"call_1","type":"function","function":{"name":"g","arguments":"{}"}}]`}},
		{"gemini logprobs", Gemini, `{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"MAX_TOKENS","logprobsResult":{"topCandidates":[{"candidates":[{"token":"a","logProbability":-1},{"token":"b","logProbability":-0.5}]}],"chosenCandidates":[{"token":"a","tokenId":3,"logProbability":-1}]}}]}`,
			distill.Request{TopK: 1}, distill.Answer{Text: "a", Finish: distill.FinishLength, Pieces: []distill.Piece{
				{Bytes: []byte("a"), LogProb: -1, Top: []distill.Alternative{{Bytes: []byte("b"), LogProb: -0.5}}}}}},
	} {
		w := newWire(Options{API: test.api}.WithDefaults())
		got, err := w.read([]byte(test.body), &test.r)
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: error %v\n got %+v\nwant %+v", test.name, err, got, test.want)
		}
	}
}

// TestBadResponses: errors name the field.
func TestBadResponses(t *testing.T) {
	for _, test := range []struct {
		api, body, want string
		r               distill.Request
	}{
		{OpenAI, `{"error":{"message":"oom","code":500}}`, "oom", distill.Request{}},
		{OpenAI, `{"choices":[{"finish_reason":"stop","message":{"content":"x","tool_calls":{}}}]}`, "tool_calls", distill.Request{}},
		{OpenAI, `{"choices":[{"finish_reason":"stop","message":{"content":"x"}}]}`, "logprobs: there are none", distill.Request{TopK: 1}},
		{OpenAI, `{"choices":[{"finish_reason":"stop","message":{"content":"x"},"logprobs":{"content":[{"token":"x","logprob":1}]}}]}`, "content[0].logprob: 1", distill.Request{TopK: 1}},
		{OpenAI, `{"choices":[{"finish_reason":"stop","message":{"content":"x"},"logprobs":{"content":[{"token":"x"}]}}]}`, "there is none", distill.Request{TopK: 1}},
		{OpenAI, `{"choices":[{"finish_reason":"stop","message":{"content":"x"},"logprobs":{"content":[{"logprob":-1,"bytes":[300]}]}}]}`, "bytes", distill.Request{TopK: 1}},
		{OpenAI, `{"choices":[{"finish_reason":"stop","message":{"content":"x"},"logprobs":{"content":[{"logprob":-1,"top_logprobs":[null]}]}}]}`, "top_logprobs[0]: null", distill.Request{TopK: 1}},
		{Completions, `{"choices":[{"finish_reason":"stop"}]}`, "choices[0].text", distill.Request{}},
		{Completions, `{"choices":[{"text":"c","finish_reason":"stop"}]}`, "does not score", distill.Request{Prompt: "a", Given: new("b")}},
		{Completions, `{"choices":[{"text":"c","logprobs":{"tokens":["c"],"token_logprobs":[-1]}}]}`, "does not echo", distill.Request{Prompt: "a", Given: new("b")}},
		{Completions, `{"choices":[{"text":"ab","logprobs":{"tokens":["ab"],"token_logprobs":[-1]}}]}`, "over the edge", distill.Request{Prompt: "a", Given: new("b")}},
		{Completions, `{"choices":[{"text":"abc","logprobs":{"tokens":["a","bc"],"token_logprobs":[-1,-1]}}]}`, "over the edge", distill.Request{Prompt: "a", Given: new("b")}},
		{Completions, `{"choices":[{"text":"ab","logprobs":{"tokens":["a","b"],"token_logprobs":[-1]}}]}`, "1 log-probabilities", distill.Request{Prompt: "a", Given: new("b")}},
		{Anthropic, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, "Overloaded", distill.Request{}},
		{Anthropic, `{"type":"message","content":[{"type":"song"}],"stop_reason":"end_turn"}`, `content[0].type: "song"`, distill.Request{}},
		{Anthropic, `{"type":"message","content":[],"stop_reason":"pause_turn"}`, "pause_turn", distill.Request{}},
		{Anthropic, `{}`, "type:", distill.Request{}},
		{Gemini, `{}`, "candidates: there are none", distill.Request{}},
		{Gemini, `{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL"}]}`, "MALFORMED_FUNCTION_CALL", distill.Request{}},
		{Gemini, `{"candidates":[{"finishReason":"STOP","logprobsResult":{"chosenCandidates":[{"token":"a"}]}}]}`, "1 tokens chosen", distill.Request{TopK: 1}},
	} {
		_, err := newWire(Options{API: test.api}.WithDefaults()).read([]byte(test.body), &test.r)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s %s: error %v, want %q", test.api, test.body, err, test.want)
		}
	}
}

func TestKeysGoIntoTheirHeaders(t *testing.T) {
	for api, name := range map[string]string{OpenAI: "Authorization", Completions: "Authorization", Azure: "Api-Key", Anthropic: "X-Api-Key", Gemini: "X-Goog-Api-Key"} {
		h := http.Header{}
		newWire(Options{API: api}).key(h, secret)
		if len(h) != 1 || strings.TrimPrefix(h.Get(name), "Bearer ") != secret {
			t.Errorf("%s: %v", api, h)
		}
	}
}

func TestStream(t *testing.T) {
	const events = ": hello\n\ndata: {\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\r\n\r\n" +
		`data: {"choices":[{"index":0,"delta":{"reasoning_content":"h"}}]}` + "\n\n" + `data: {"choices":[{"index":0,"delta":{"reasoning_content":"m","content":"a"},"logprobs":{"content":[{"token":"a","logprob":-1}]}}]}` + "\n\n" +
		`data: {"choices":[{"index":0,"delta":{"content":"b"},"logprobs":{"content":[{"token":"b","logprob":-2}]}}]}` + "\n\n"
	const calls = `data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{\"a\""}}]}}]}` + "\n\n" +
		`data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}}]}` + "\n\n"
	const end = `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n" + `data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}` + "\n\ndata: [DONE]\n\n"
	w := newWire(Options{API: OpenAI, Stream: true}.WithDefaults())
	got, err := w.read([]byte(events+end), &distill.Request{TopK: 1})
	want := distill.Answer{Text: "ab", Reasoning: "hm", Model: "m", Finish: distill.FinishStop, Usage: distill.Usage{PromptTokens: 3, AnswerTokens: 2},
		Pieces: []distill.Piece{{Bytes: []byte("a"), LogProb: -1, Top: nil}, {Bytes: []byte("b"), LogProb: -2}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("error %v\n got %+v\nwant %+v", err, got, want)
	}
	if got, err = w.read([]byte(calls+end), &distill.Request{}); err != nil || got.ToolCalls != `[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]` {
		t.Errorf("%+v, error %v", got, err)
	}
	for text, part := range map[string]string{events: "no end", "data: {\"ch": "event: ", "\n\n": "no events", `data: {"error":{"message":"boom"}}`: "boom"} {
		if _, err := w.read([]byte(text), &distill.Request{}); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%.40q: error %v, want %q", text, err, part)
		}
	}
}

// FuzzResponses: whatever a server says, it is read without panic, and what is
// good has a finish, credible usage and log-probabilities that are some.
func FuzzResponses(f *testing.F) {
	for i, seed := range []string{`{"choices":[{"finish_reason":"stop","message":{"content":"x"},"logprobs":{"content":[{"token":"x","logprob":-1,"bytes":[1],"top_logprobs":[{"logprob":-2}]}]}}]}`,
		`{"choices":[{"text":"ab","logprobs":{"tokens":["a","b"],"token_logprobs":[-1,-2],"top_logprobs":[null,{"b":-2}]}}]}`,
		`{"type":"message","content":[{"type":"tool_use","input":{}}],"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":1}}`,
		`{"candidates":[{"finishReason":"STOP","content":{"parts":[{"text":"x"}]}}]}`, "data: {}\n\ndata: [DONE]\n\n"} {
		f.Add(uint8(i), []byte(seed))
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		o := Options{API: []string{OpenAI, Completions, Anthropic, Gemini, OpenAI}[which%5], Stream: which%5 == 4}.WithDefaults()
		r := distill.Request{Prompt: "a", TopK: int(which/5) % 3}
		if which > 128 && o.API == Completions {
			r.Given = new("b")
		}
		a, err := newWire(o).read(data, &r)
		if u := a.Usage; u.CachedTokens > u.PromptTokens || u.AnswerTokens < 0 || u.PromptTokens < 0 || u.CachedTokens < 0 {
			t.Errorf("usage %+v", u)
		}
		if err == nil && a.Finish == "" {
			t.Errorf("no finish: %+v", a)
		}
		for _, p := range a.Pieces {
			if !(p.LogProb <= 0) || len(p.Top) > r.TopK {
				t.Errorf("piece %+v", p)
			}
		}
		readOpenAILine(data)
		readAnthropicLine(data)
		statusFailure(400+int(which), http.Header{}, data, time.Now())
	})
}
