package tokenizer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// protoMessage is the rest of an encoded Protocol Buffers message.
type protoMessage []byte

// protoField is one field: a number, or bytes that share the message's memory.
type protoField struct {
	number int
	wire   byte
	value  uint64 // of a varint (0), a 64-bit (1) or a 32-bit (5) field
	bytes  []byte // of a length-delimited (2) field
}

var errProtoCut = errors.New("the message is cut off")

// next returns the next field; ok is false at the end.
func (m *protoMessage) next() (f protoField, ok bool, err error) {
	if len(*m) == 0 {
		return f, false, nil
	}
	key, err := m.varint()
	if err != nil {
		return f, false, err
	}
	f.number, f.wire = int(key>>3), byte(key&7)
	if key>>3 == 0 || key>>3 > 1<<29-1 {
		return f, false, fmt.Errorf("field number %d is out of range", key>>3)
	}
	switch f.wire {
	case 0:
		f.value, err = m.varint()
	case 1:
		var b []byte
		if b, err = m.take(8); err == nil {
			f.value = binary.LittleEndian.Uint64(b)
		}
	case 2:
		var n uint64
		if n, err = m.varint(); err == nil {
			f.bytes, err = m.take(n)
		}
	case 5:
		var b []byte
		if b, err = m.take(4); err == nil {
			f.value = uint64(binary.LittleEndian.Uint32(b))
		}
	default:
		err = fmt.Errorf("wire type %d is not supported", f.wire)
	}
	if err != nil {
		return f, false, fmt.Errorf("field %d: %w", f.number, err)
	}
	return f, true, nil
}

func (m *protoMessage) varint() (uint64, error) {
	v, n := binary.Uvarint(*m)
	if n <= 0 {
		return 0, errProtoCut
	}
	*m = (*m)[n:]
	return v, nil
}

func (m *protoMessage) take(n uint64) ([]byte, error) {
	if n > uint64(len(*m)) {
		return nil, errProtoCut
	}
	b := (*m)[:n:n]
	*m = (*m)[n:]
	return b, nil
}

// fields reads the whole message into places by field number. Fields that have
// no place are skipped, as every reader of Protocol Buffers does.
func (m protoMessage) fields(places map[int]any) error {
	for {
		f, ok, err := m.next()
		if err != nil || !ok {
			return err
		}
		place, ok := places[f.number]
		if !ok {
			continue
		}
		if err := f.store(place); err != nil {
			return fmt.Errorf("field %d: %w", f.number, err)
		}
	}
}

func (f protoField) store(place any) error {
	wire := byte(0)
	switch place.(type) {
	case *string, *[]byte, func([]byte) error:
		wire = 2
	case *float32:
		wire = 5
	}
	if f.wire != wire {
		return fmt.Errorf("wire type %d, want %d", f.wire, wire)
	}
	switch place := place.(type) {
	case *string:
		*place = string(f.bytes)
	case *[]byte:
		*place = f.bytes
	case func([]byte) error:
		return place(f.bytes)
	case *float32:
		*place = math.Float32frombits(uint32(f.value))
	case *bool:
		*place = f.value != 0
	case *int32:
		*place = int32(f.value)
	}
	return nil
}
