package recipes

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/distill/api"
	"github.com/retort-ml/retort/pipeline"

	"go.yaml.in/yaml/v4"
)

// Recipe is a recipe file, decoded and checked.
type Recipe struct {
	Name string
	Seed uint64
	// Offline refuses every connection that would leave this machine.
	Offline bool
	Models  map[string]Source
	// Text is the recipe as it was run: the file with --set applied.
	Text string

	file   string
	store  string // directory of the pipeline's store
	stages []namedStage
}

// Source says where a model is that no stage makes: at a path or, downloaded by
// retort model pull, in the cache of a hub; behind a server's API; or its
// answers alone, as somebody wrote them down.
type Source struct {
	Path     string `yaml:"path"`     // a Hugging Face directory, or a .gguf file; where the cache has it, once a recipe with hub was read
	Hub      string `yaml:"hub"`      // a model's name: org/name
	Revision string `yaml:"revision"` // branch, tag or commit of hub; empty means main
	// Chat says that its prompts are turns of a chat. Without it they are plain text.
	Chat *chatOptions `yaml:"chat"`
	// Options say which server answers. Such a model, and recorded answers, can be
	// asked, but not tuned.
	api.Options `yaml:",inline"`
	// Redact says which personal data no request to the server has.
	Redact *redactOptions `yaml:"redact"`
	// Recorded are rows with a prompt and an answer to it; several of one prompt
	// are its samples.
	Recorded *datasets.Input `yaml:"recorded"`
}

// namedStage is a stage of a recipe. Exactly the kind's struct is behind spec.
type namedStage struct {
	name string
	spec stage
}

// stage is one kind of stage: a struct whose yaml tags are its keys.
type stage interface {
	// check reports values out of range and references that lead nowhere.
	check(c *checker)
	// build makes the pipeline's stage, but for its name and kind.
	build(r *Recipe) pipeline.Stage
}

// kinds lists every kind of stage.
var kinds = map[string]func() stage{
	"dataset":    func() stage { return new(datasetStage) },
	"synthesize": func() stage { return new(synthesizeStage) },
	"tokenizer":  func() stage { return new(tokenizerStage) },
	"tokens":     func() stage { return new(tokensStage) },
	"train":      func() stage { return new(trainStage) },
	"classifier": func() stage { return new(classifierStage) },
	"answers":    func() stage { return new(answersStage) },
	"quantize":   func() stage { return new(quantizeStage) },
	"eval":       func() stage { return new(evalStage) },
}

// header is the top of a recipe.
type header struct {
	Version int               `yaml:"version"`
	Name    string            `yaml:"name"`
	Seed    uint64            `yaml:"seed"`
	Offline bool              `yaml:"offline"` // connect to nothing outside this machine
	Models  map[string]Source `yaml:"models"`
}

// recipeVersion is the version of the recipe format that this program reads.
const recipeVersion = 1

// maxRecipeBytes bounds a recipe file.
const maxRecipeBytes = 1 << 20

// Load reads the recipe at path, or the one that is built in under that name,
// and applies sets ("key.path=value"). Everything wrong is in one error, of
// type Faults where the recipe is to blame.
func Load(path string, sets ...string) (*Recipe, error) {
	data, err := read(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data, sets...)
}

func read(path string) ([]byte, error) {
	if data, ok := builtin(path); ok {
		return data, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, Faults{{File: path, Message: "no such recipe; built in are " + strings.Join(Builtins(), ", ")}}
		}
		return nil, fmt.Errorf("read recipe: %w", err)
	}
	if info.IsDir() || info.Size() > maxRecipeBytes {
		return nil, Faults{{File: path, Message: "want a YAML file of at most 1 MB"}}
	}
	return os.ReadFile(path)
}

// Parse is Load for the bytes of a recipe; file names it in messages.
func Parse(file string, data []byte, sets ...string) (*Recipe, error) {
	root, err := parseTree(file, data, sets)
	if err != nil {
		return nil, err
	}
	d := newDecoder(file)
	r := &Recipe{file: file}
	if text, err := yaml.Marshal(root); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	} else {
		r.Text = string(text)
	}
	d.recipe(r, root)
	if len(d.faults) == 0 {
		c := &checker{decoder: d, recipe: r}
		for _, s := range r.stages {
			c.name, c.path = s.name, "stages."+s.name
			s.spec.check(c)
		}
		c.cycles()
	}
	if len(d.faults) > 0 {
		return nil, d.faults.sorted()
	}
	return r, nil
}

// yamlLine finds the line in a YAML error's text.
var yamlLine = regexp.MustCompile(`(?:line |at L)(\d+)`)

func parseTree(file string, data []byte, sets []string) (root *yaml.Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			root, err = nil, Faults{{File: file, Message: fmt.Sprintf("not YAML: %v", p)}}
		}
	}()
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		f := Fault{File: file, Message: "not YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
		if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
			fmt.Sscan(m[1], &f.Line)
		}
		return nil, Faults{f}
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, Faults{{File: file, Line: 1, Message: "want keys and values: version, name, stages"}}
	}
	for _, set := range sets {
		if err := applySet(doc.Content[0], set); err != nil {
			return nil, Faults{{File: file, Message: err.Error()}}
		}
	}
	return doc.Content[0], nil
}

// recipe decodes the top of the file, then each stage by its kind.
func (d *decoder) recipe(r *Recipe, root *yaml.Node) {
	var h header
	rest := &yaml.Node{Kind: yaml.MappingNode, Line: root.Line}
	var stages *yaml.Node
	for key, value := range d.pairs(root, "") {
		switch {
		case key.Value == "stages":
			stages = value
		case !known(key.Value, h):
			d.fault(key, key.Value, "%s", unknown("key", key.Value, append(keys(reflect.TypeFor[header]()), "stages")))
		default:
			rest.Content = append(rest.Content, key, value)
		}
	}
	d.value(rest, "", reflect.ValueOf(&h).Elem(), 0)
	r.Name, r.Seed, r.Offline, r.Models = h.Name, h.Seed, h.Offline, h.Models
	if h.Version != recipeVersion {
		d.fault(orNode(child(root, "version"), root), "version", "%d: this program reads version %d", h.Version, recipeVersion)
	}
	if h.Name == "" {
		d.fault(orNode(child(root, "name"), root), "name", "want a name")
	}
	d.sources(r)
	if stages == nil {
		d.fault(root, "stages", "want at least one stage")
		return
	}
	for key, value := range d.pairs(stages, "stages") {
		d.stage(r, key.Value, value)
	}
	if len(r.stages) == 0 && len(d.faults) == 0 {
		d.fault(stages, "stages", "want at least one stage")
	}
}

// orNode is n, or otherwise where there is none.
func orNode(n, otherwise *yaml.Node) *yaml.Node {
	if n == nil {
		return otherwise
	}
	return n
}

func known(key string, of any) bool {
	for _, k := range keys(reflect.TypeOf(of)) {
		if k == key {
			return true
		}
	}
	return false
}

var stageName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (d *decoder) stage(r *Recipe, name string, n *yaml.Node) {
	path := "stages." + name
	n, ok := d.resolve(n, path, 0)
	if !ok {
		return
	}
	if !stageName.MatchString(name) {
		d.fault(n, path, "a stage's name is letters, digits, _ and -, at most 64 of them")
		return
	}
	if _, taken := r.Models[name]; taken {
		d.fault(n, path, "a model has this name too")
	}
	kind := ""
	if k := child(n, "kind"); k != nil {
		kind = k.Value
	}
	makeStage, ok := kinds[kind]
	if !ok {
		var names []string
		for k := range kinds {
			names = append(names, k)
		}
		at := child(n, "kind")
		if at == nil {
			d.fault(n, path, "want a kind: %s", strings.TrimPrefix(unknown("", "", names), `unknown  "": `))
			return
		}
		d.fault(at, path+".kind", "%s", unknown("kind", kind, names))
		return
	}
	s := makeStage()
	d.value(n, path, reflect.ValueOf(s).Elem(), 0)
	r.stages = append(r.stages, namedStage{name, s})
}

// Pipeline returns the recipe's stages for the pipeline whose store is in dir.
func (r *Recipe) Pipeline(dir string) []pipeline.Stage {
	r.store = dir
	list := make([]pipeline.Stage, len(r.stages))
	for i, s := range r.stages {
		list[i] = s.spec.build(r)
		list[i].Name = s.name
		list[i].Kind = kindOf(s.spec)
	}
	return list
}

func kindOf(s stage) string {
	return reflect.ValueOf(s).Elem().FieldByName("Kind").String()
}

// find is the stage of that name, or nil.
func (r *Recipe) find(name string) stage {
	for _, s := range r.stages {
		if s.name == name {
			return s.spec
		}
	}
	return nil
}

// HasStage tells whether the recipe has a stage of that name.
func (r *Recipe) HasStage(name string) bool { return r.find(name) != nil }
