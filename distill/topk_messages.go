package distill

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow/ipc"
)

// What comes before an Arrow IPC file's stream of messages, ARROW1 and padding, and
// before each message: a mark and the length of its description.
const (
	arrowMagicBytes  = 8
	arrowPrefixBytes = 8
)

// message returns where the body of the message there begins.
func (f *topFile) message(at int64) (body int64, err error) {
	const most = 1 << 16
	var head [arrowPrefixBytes]byte
	if err := f.readAt(head[:], at); err != nil {
		return 0, err
	}
	mark, n := binary.LittleEndian.Uint32(head[:]), binary.LittleEndian.Uint32(head[4:])
	if mark != 1<<32-1 || n > most {
		return 0, fmt.Errorf("a message marked %#x with %d bytes of description", mark, n)
	}
	return at + arrowPrefixBytes + int64(n), nil
}

// checkBeginning checks the file up to its schema's end, which it returns.
func (f *topFile) checkBeginning() (int64, error) {
	var b bytes.Buffer
	t, err := newTopStream(&b, f.k, f.idBytes)
	if err == nil {
		err = t.close()
	}
	if err != nil {
		return 0, err
	}
	empty := &topFile{in: bytes.NewReader(b.Bytes())}
	end, err := empty.message(arrowMagicBytes)
	if err != nil {
		return 0, err
	}
	have := make([]byte, end)
	if err := f.readAt(have, 0); err != nil || !bytes.Equal(have, b.Bytes()[:end]) {
		return 0, fmt.Errorf("it does not begin as an Arrow file of %d alternatives with ids of %d bytes", f.k, f.idBytes)
	}
	return end, nil
}

// checkEnd tells whether nothing but a footer, its length and the magic follow.
func (f *topFile) checkEnd(at, places int64) error {
	end := make([]byte, 4+len(ipc.Magic))
	if err := f.readAt(end, f.size-int64(len(end))); err != nil {
		return err
	}
	footer := int64(binary.LittleEndian.Uint32(end))
	if at+footer+int64(len(end)) != f.size || !bytes.Equal(end[4:], ipc.Magic) {
		return fmt.Errorf("it does not end after %d rows", places)
	}
	return nil
}
