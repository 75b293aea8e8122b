package datasets

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Field types of Thrift's compact protocol
// (github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md).
const (
	thriftStop   = 0
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftI16    = 4
	thriftI32    = 5
	thriftI64    = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftMap    = 11
	thriftStruct = 12
	thriftUUID   = 13
)

// maxThriftDepth bounds nesting: Parquet's own structures nest about seven
// deep, and an unbounded depth would end in a stack overflow, which no
// program can recover from.
const maxThriftDepth = 24

// A decoder makes room for a whole list from its count alone, so a count is
// believed only if that many structs could follow. ColumnOrder is the smallest
// struct that Parquet lists, ColumnChunk by far the largest in memory (600
// bytes decoded), and the lists of the footer itself (schema, row groups) have
// 16-bit limits.
const (
	minThriftStruct   = 3
	minColumnChunk    = 24
	maxFooterList     = 1 << 15
	footerListDepth   = 1 // FileMetaData.schema, row_groups, …
	rowGroupListDepth = 3 // FileMetaData.row_groups[].columns, …
	columnsField      = 1 // RowGroup.columns
)

// errThriftShort says that the bytes end inside the structure.
var errThriftShort = errors.New("ends in the middle of a structure")

// thriftWalker steps over compact-protocol data without keeping any of it, to
// learn that every length and count in it fits before a decoder trusts them.
type thriftWalker struct {
	data []byte
	pos  int
}

// thriftStructLen returns the bytes that the struct at the start of data takes.
// The error is errThriftShort if data ends before the struct does.
func thriftStructLen(data []byte) (int, error) {
	w := thriftWalker{data: data}
	err := w.structure(0)
	return w.pos, err
}

func (w *thriftWalker) structure(depth int) error {
	if depth > maxThriftDepth {
		return fmt.Errorf("structures nested more than %d deep", maxThriftDepth)
	}
	field := uint64(0)
	for {
		head, err := w.byte()
		if err != nil {
			return err
		}
		kind := head & 0x0f
		if kind == thriftStop {
			return nil
		}
		field += uint64(head >> 4)
		if head>>4 == 0 { // the field id follows in full, zigzag
			if field, err = w.uvarint(); err != nil {
				return err
			}
			field /= 2
		}
		if kind == thriftTrue || kind == thriftFalse {
			continue // the value of a boolean field is its type
		}
		if err := w.value(kind, depth+1, field); err != nil {
			return err
		}
	}
}

func (w *thriftWalker) value(kind byte, depth int, field uint64) error {
	switch kind {
	case thriftTrue, thriftFalse, thriftByte:
		return w.skip(1)
	case thriftI16, thriftI32, thriftI64:
		_, err := w.uvarint()
		return err
	case thriftDouble:
		return w.skip(8)
	case thriftUUID:
		return w.skip(16)
	case thriftBinary:
		n, err := w.uvarint()
		if err != nil {
			return err
		}
		return w.skip(n)
	case thriftList, thriftSet:
		return w.list(depth, field)
	case thriftMap:
		return w.mapping(depth)
	case thriftStruct:
		return w.structure(depth)
	}
	return fmt.Errorf("unknown field type %d", kind)
}

// list steps over a list that is the given field of its struct.
func (w *thriftWalker) list(depth int, field uint64) error {
	head, err := w.byte()
	if err != nil {
		return err
	}
	n, kind := uint64(head>>4), head&0x0f
	if n == 15 {
		if n, err = w.uvarint(); err != nil {
			return err
		}
	}
	least := uint64(1)
	if kind == thriftStruct {
		least = minThriftStruct
		if depth == footerListDepth && n > maxFooterList {
			return fmt.Errorf("a list of %d entries, more than %d", n, maxFooterList)
		}
		if depth == rowGroupListDepth && field == columnsField {
			least = minColumnChunk
		}
	}
	if n > uint64(len(w.data)-w.pos)/least {
		return errThriftShort
	}
	if depth > maxThriftDepth {
		return fmt.Errorf("structures nested more than %d deep", maxThriftDepth)
	}
	for range n {
		if err := w.value(kind, depth+1, 0); err != nil {
			return err
		}
	}
	return nil
}

func (w *thriftWalker) mapping(depth int) error {
	n, err := w.uvarint()
	if err != nil || n == 0 {
		return err
	}
	kinds, err := w.byte()
	if err != nil {
		return err
	}
	if n > uint64(len(w.data)-w.pos) {
		return errThriftShort
	}
	if depth > maxThriftDepth {
		return fmt.Errorf("structures nested more than %d deep", maxThriftDepth)
	}
	for range n {
		if err := w.value(kinds>>4, depth+1, 0); err != nil {
			return err
		}
		if err := w.value(kinds&0x0f, depth+1, 0); err != nil {
			return err
		}
	}
	return nil
}

func (w *thriftWalker) byte() (byte, error) {
	if w.pos >= len(w.data) {
		return 0, errThriftShort
	}
	w.pos++
	return w.data[w.pos-1], nil
}

func (w *thriftWalker) skip(n uint64) error {
	if n > uint64(len(w.data)-w.pos) {
		return errThriftShort
	}
	w.pos += int(n)
	return nil
}

func (w *thriftWalker) uvarint() (uint64, error) {
	u, n := binary.Uvarint(w.data[w.pos:])
	if n == 0 {
		return 0, errThriftShort
	}
	if n < 0 {
		return 0, errors.New("a number of more than 64 bits")
	}
	w.pos += n
	return u, nil
}
