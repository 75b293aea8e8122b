package imports

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// connectors are the names of net, net/http, crypto/tls and net/smtp that
// connect to somebody or make what does.
var connectors = map[string][]string{
	"net/http": {"Client", "Transport", "DefaultClient", "DefaultTransport", "Get", "Head", "Post", "PostForm"},
	"net": {"Dial", "DialTimeout", "DialTCP", "DialUDP", "DialIP", "DialUnix", "Dialer", "Resolver", "DefaultResolver",
		"LookupHost", "LookupIP", "LookupAddr", "LookupCNAME", "LookupMX", "LookupNS", "LookupPort", "LookupSRV", "LookupTXT"},
	"crypto/tls": {"Dial", "DialWithDialer", "Dialer"},
	"net/smtp":   {"Dial", "SendMail"},
	"net/rpc":    {"Dial", "DialHTTP", "DialHTTPPath"},
}

// TestOnlyOutboundConnects: offline: true holds because every client comes from
// internal/outbound.
func TestOnlyOutboundConnects(t *testing.T) {
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") ||
			strings.Contains(filepath.ToSlash(path), "internal/outbound/") {
			return err
		}
		for _, found := range connections(t, path, nil) {
			t.Errorf("%s: only internal/outbound may connect", found)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// connections lists the places of a file (or of src, if not nil) that use connectors.
func connections(t *testing.T, path string, src any) []string {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, src, 0)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string][]string{} // as the file calls the package
	var found []string
	for _, i := range file.Imports {
		of, _ := strconv.Unquote(i.Path.Value)
		list, watched := connectors[of]
		switch {
		case !watched:
		case i.Name == nil:
			names[of[strings.LastIndex(of, "/")+1:]] = list
		case i.Name.Name == ".":
			found = append(found, set.Position(i.Pos()).String()+": dot import of "+of)
		default:
			names[i.Name.Name] = list
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		pkg, ok := s.X.(*ast.Ident)
		if !ok || !slices.Contains(names[pkg.Name], s.Sel.Name) {
			return true
		}
		if pkg.Name == "http" && s.Sel.Name == "Client" && !made(file, s) {
			return true // the type, of a field or an argument
		}
		found = append(found, set.Position(s.Pos()).String()+": "+pkg.Name+"."+s.Sel.Name)
		return true
	})
	return found
}

// made tells whether the type s is made into a value anywhere but behind a pointer's star.
func made(file *ast.File, s *ast.SelectorExpr) bool {
	pointed := false
	ast.Inspect(file, func(n ast.Node) bool {
		if star, ok := n.(*ast.StarExpr); ok && star.X == s {
			pointed = true
		}
		return !pointed
	})
	return !pointed
}

func TestConnectionsAreFound(t *testing.T) {
	for code, want := range map[string]int{
		`import "net/http"; var c = &http.Client{}`:                          1,
		`import "net/http"; var c http.Client`:                               1,
		`import "net/http"; var c = new(http.Client)`:                        1,
		`import "net/http"; func f(c *http.Client) {}`:                       0,
		`import h "net/http"; var _, _ = h.Get("x")`:                         1,
		`import . "net/http"; var _, _ = Get("x")`:                           1,
		`import "net/http"; var c = http.DefaultClient`:                      1,
		`import "net"; var c, _ = net.Dial("tcp", "x:1")`:                    1,
		`import "net"; var l, _ = net.Listen("tcp", "x:1")`:                  0,
		`import "net/http"; var s = http.Server{}; var _ = http.MethodGet`:   0,
		`import "net"; var d net.Dialer; var e = (&net.Dialer{}).Dial`:       2,
		`import "crypto/tls"; var c, _ = tls.Dial("tcp", "x:1", nil)`:        1,
		`import "net/http"; type t struct{ http.RoundTripper }; var _ = t{}`: 0,
	} {
		if found := connections(t, "x.go", "package x; "+code); len(found) != want {
			t.Errorf("%s: %v, want %d", code, found, want)
		}
	}
}
