// Command gen writes the tickets of the help-desk domain: messages to the
// support desk of Quillbase, an invented company that sells small firms a
// program for bookings, invoices and card payments, and the card readers for
// it. Each ticket is to be sorted by intent and priority.
//
// A ticket is put together from phrases (see grammar.go for their notation):
// what is wrong, how much it matters, and what people write around that. Some
// speak of other matters too, some leave the priority open, some are labelled
// wrong, as in any real help desk, so that no model can get all of them right.
// The same program writes the same rows every time.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/retort-ml/retort/datasets"
)

//go:generate go run . -o ../tickets.parquet

const (
	ticketCount = 6000
	ticketSeed  = 20260117
)

func main() {
	out := flag.String("o", "tickets.parquet", "the Parquet `file` to write")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "gen: unexpected arguments:", flag.Args())
		os.Exit(2)
	}
	if err := datasets.WriteParquet(*out, tickets(ticketCount, ticketSeed)); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}
