// Gen writes the assembly of package cpu with avo: for AVX-512 and for AVX2 one
// .s file and one Go file that declares its functions. It is a module of its own,
// so that users of the main module need neither avo nor what avo needs.
//
//	go -C internal/compute/cpu/gen run . -dir ..          # writes the files
//	go -C internal/compute/cpu/gen run . -dir .. -check   # exits 1 unless they are up to date
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

func main() {
	dir := flag.String("dir", ".", "folder of package cpu")
	check := flag.Bool("check", false, "compare the files with what would be written, and write nothing")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "gen: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	if err := run(*dir, *check); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(dir string, check bool) error {
	var faults []error
	for _, set := range []isa{avx512, avx2} {
		files, err := generate(set)
		if err != nil {
			return fmt.Errorf("generate %s: %w", set.name, err)
		}
		for name, content := range files {
			path := filepath.Join(dir, name)
			if check {
				faults = append(faults, compare(path, content))
				continue
			}
			if err := os.WriteFile(path, content, 0o644); err != nil {
				return err
			}
		}
	}
	return errors.Join(faults...)
}

// compare returns an error unless the file has that content.
func compare(path string, content []byte) error {
	have, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !bytes.Equal(have, content) {
		return fmt.Errorf("%s is not what the generator writes: run go generate ./internal/compute/cpu", path)
	}
	return nil
}

// generate returns the files of an instruction set by name.
func generate(set isa) (map[string][]byte, error) {
	a := &assembler{Context: build.NewContext(), isa: set}
	a.ConstraintExpr("!purego")
	a.constants()
	a.tiles()
	a.transpose()
	a.dequantize()
	a.formats()
	a.dot()
	a.vectors()
	a.exponentials()
	a.adamW()
	a.attend()
	a.softmaxes()
	a.norms()
	a.gelus()
	a.softCap()
	a.rows()
	a.peak()
	a.dots()
	a.blocks()
	if !a.wide { // these need no more
		a.round()
		a.pause()
	}
	file, err := a.Result()
	if err != nil {
		return nil, err
	}
	if err := pass.Compile.Execute(file); err != nil {
		return nil, err
	}
	config := printer.Config{Name: "gen", Pkg: "cpu"}
	text, err := printer.NewGoAsm(config).Print(file)
	if err != nil {
		return nil, err
	}
	stubs, err := printer.NewStubs(config).Print(file)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		set.name + "_amd64.s":  text,
		set.name + "_amd64.go": stubs,
	}, nil
}
