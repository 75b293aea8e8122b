package recipes

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ml/retort/internal/atomicfile"
)

// files holds the recipes that work without a checkout, and their data.
//
//go:embed *.yaml helpdesk/*.parquet
var files embed.FS

// Builtins lists the recipes that are built in, by name.
func Builtins() []string {
	entries, err := fs.Glob(files, "*.yaml")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e, ".yaml"))
	}
	slices.Sort(names)
	return names
}

// builtin is the recipe of that name. A path with a folder or a suffix is a file.
func builtin(name string) ([]byte, bool) {
	if strings.ContainsAny(name, `/\.`) {
		return nil, false
	}
	data, err := files.ReadFile(name + ".yaml")
	return data, err == nil
}

// embeddedHash is the SHA-256 of a built-in file; empty when there is none,
// which extract then reports.
func embeddedHash(name string) string {
	data, err := files.ReadFile(path.Clean(name))
	if err != nil {
		return ""
	}
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:])
}

// extract writes a built-in file into dir, where readers of files find it.
func extract(name, dir string) (string, error) {
	data, err := files.ReadFile(path.Clean(name))
	if err != nil {
		return "", fmt.Errorf("%s%s: there is no such built-in file", embeddedPrefix, name)
	}
	to := filepath.Join(dir, path.Base(name))
	return to, atomicfile.WriteBytes(to, data)
}
