// Package imports holds the test of which package may import which. The order
// is the data flow; a change here is a change of the design, not a fix of a build.
package imports

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/retort-ml/retort/"

// allowed lists the packages of this module that each one may import.
// DO NOT CHANGE THIS DATA TO FIX BUILDS.
var allowed = map[string][]string{
	"internal/atomicfile":  {},
	"internal/random":      {},
	"internal/bytesize":    {},
	"internal/memory":      {},
	"internal/imports":     {},
	"internal/spelling":    {},
	"internal/gradcheck":   {},
	"internal/extsort":     {},
	"internal/overlap":     {"internal/extsort"},
	"internal/redact":      {},
	"internal/safetensors": {"internal/atomicfile"},
	"internal/gguf":        {"internal/atomicfile"},
	"internal/tokenizer":   {"internal/atomicfile"},
	"internal/chat":        {"internal/chat/jinja"},
	"internal/chat/jinja":  {},
	"internal/compute":     {},
	"internal/compute/cpu": {"internal/compute"},
	"internal/autodiff":    {"internal/compute"},
	"internal/model":       {"internal/atomicfile", "internal/random", "internal/safetensors", "internal/gguf", "internal/tokenizer", "internal/compute", "internal/autodiff"},
	"datasets":             {"internal/atomicfile", "internal/overlap"},
	"pipeline":             {"internal/atomicfile", "internal/memory"},
	"train":                {"datasets", "internal/model", "internal/autodiff", "internal/compute", "internal/safetensors", "internal/random", "internal/atomicfile", "internal/bytesize", "internal/memory"},
	"distill":              {"datasets", "internal/model", "internal/autodiff", "internal/compute", "internal/random", "internal/atomicfile"},
	"distill/teachertest":  {"distill", "internal/model"},
	"distill/refine":       {},
	"distill/api":          {"distill", "internal/outbound"},
	"quantize":             {"internal/model", "internal/autodiff", "internal/compute", "internal/gguf", "internal/tokenizer", "internal/atomicfile"},
	"eval":                 {"datasets", "internal/atomicfile"},
	"recipes/helpdesk/gen": {"datasets", "internal/atomicfile"},
	"internal/bench":       {"datasets", "train", "internal/model", "internal/compute", "internal/compute/cpu", "internal/random", "internal/bytesize", "internal/memory", "internal/spelling"},
	"recipes":              {"distill/api", "distill/refine", "internal/redact", "internal/hub", "internal/chat", "internal/chat/jinja", "pipeline", "datasets", "train", "distill", "quantize", "eval", "internal/model", "internal/tokenizer", "internal/compute", "internal/compute/cpu", "internal/random", "internal/atomicfile", "internal/bytesize", "internal/memory", "internal/spelling"},
	"internal/outbound":    {},
	"internal/hub":         {"internal/outbound"},
	"internal/checkpoint":  {"quantize", "internal/chat", "internal/model", "internal/tokenizer", "internal/compute", "internal/compute/cpu", "internal/safetensors", "internal/gguf", "internal/atomicfile"},
	"internal/verify":      {"datasets", "train", "internal/checkpoint", "internal/model", "internal/autodiff", "internal/compute", "internal/compute/cpu", "internal/safetensors"},
	"cmd/retort":           {"pipeline", "recipes", "eval", "distill", "internal/bench", "internal/bytesize", "internal/hub", "internal/checkpoint", "internal/verify", "internal/tokenizer", "internal/chat", "internal/chat/jinja"},
}

// owners lists which packages may import an outside module; those that are not
// listed may be imported anywhere below cmd.
var owners = map[string][]string{
	"gorgonia.org/gorgonia":            {"internal/autodiff"},
	"gorgonia.org/tensor":              {"internal/autodiff", "internal/compute", "internal/compute/cpu", "internal/model", "train"},
	"github.com/apache/arrow/go/v17":   {"datasets", "distill"},
	"github.com/parquet-go/parquet-go": {"datasets", "distill"},
	"github.com/urfave/cli/v2":         {"cmd/retort"},
	"go.yaml.in/yaml/v4":               {"recipes"},
	"modernc.org/sqlite":               {"distill"},
	"github.com/vbauerster/mpb/v8":     {"cmd/retort"},
	"github.com/jedib0t/go-pretty/v6":  {"cmd/retort", "eval"},
	"github.com/klauspost/cpuid/v2":    {"internal/compute/cpu"},
	"gonum.org/v1/gonum":               {"eval"},
	"github.com/chewxy/hm":             {"internal/autodiff"},
	"golang.org/x/term":                {"cmd/retort"},

	"github.com/santhosh-tekuri/jsonschema/v6": {"distill/refine"},
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func TestImports(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, module)
		seen[name] = true
		check(t, name, p.Imports)
	}
	for _, name := range slices.Sorted(maps.Keys(allowed)) {
		if !seen[name] {
			t.Errorf("%s is listed and does not exist", name)
		}
	}
}

func check(t *testing.T, name string, imports []string) {
	may, listed := allowed[name]
	if !listed {
		t.Errorf("%s is not listed: say what it may import", name)
		return
	}
	for _, path := range imports {
		if inside, ok := strings.CutPrefix(path, module); ok {
			if !slices.Contains(may, inside) {
				t.Errorf("%s imports %s; it may import %v", name, inside, may)
			}
			continue
		}
		for outside, packages := range owners {
			if (path == outside || strings.HasPrefix(path, outside+"/")) && !slices.Contains(packages, name) {
				t.Errorf("%s imports %s, which belongs to %v", name, path, packages)
			}
		}
	}
}
