package refine

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// schema is a compiled JSON schema, of drafts 4 to 2020-12 (the latest if it
// does not say). It refers to nothing outside itself.
type schema struct{ compiled *jsonschema.Schema }

// noLoader refuses every file and address that a schema refers to.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s: a schema must stand by itself", url)
}

func newSchema(text []byte) (*schema, error) {
	if len(text) == 0 {
		return nil, errors.New("empty")
	}
	if len(text) > longestJSON {
		return nil, errors.New("longer than 1 MiB")
	}
	if err := checkNumbers(string(text)); err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("no JSON: %w", err)
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	const name = "recipe:///schema.json"
	if err := c.AddResource(name, doc); err != nil {
		return nil, err
	}
	compiled, err := c.Compile(name)
	if err != nil {
		return nil, errors.New(strings.ReplaceAll(err.Error(), name, ""))
	}
	return &schema{compiled}, nil
}

// check returns the JSON of an answer, or why it is not valid.
func (s *schema) check(answer string) (string, error) {
	text, err := onlyJSON(answer)
	if err != nil {
		return "", err
	}
	if err := checkNumbers(text); err != nil {
		return "", err
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return "", err
	}
	if err := s.compiled.Validate(value); err != nil {
		var invalid *jsonschema.ValidationError
		if errors.As(err, &invalid) {
			return "", errors.New(firstCause(invalid))
		}
		return "", err
	}
	return text, nil
}

// firstCause names the place and the reason of the first thing that is wrong.
func firstCause(e *jsonschema.ValidationError) string {
	for len(e.Causes) > 0 {
		e = e.Causes[0]
	}
	message := e.Error() // "jsonschema validation failed with …\n- at '/a': why"
	if i := strings.LastIndex(message, "\n- "); i >= 0 {
		message = message[i+3:]
	}
	return shorten(message)
}

// longNumber finds numbers whose value takes a lot of memory. It may find one
// inside a string, where it would be harmless.
var longNumber = regexp.MustCompile(`[0-9][eE][+-]?0*[1-9][0-9]{3}|[0-9.]{1000}`)

func checkNumbers(text string) error {
	if found := longNumber.FindString(text); found != "" {
		return fmt.Errorf("a number that is too long: %s", shorten(found))
	}
	return nil
}
