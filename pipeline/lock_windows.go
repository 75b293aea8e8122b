package pipeline

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// flock takes the lock on f without waiting; false means that another open
// file is in the way. Windows locks ranges of bytes and keeps others from
// reading them, so the range lies far behind the holder's name. It cannot
// convert a lock, and converting fails as if another were in the way: then the
// lock's file stays, empty, which harms nobody.
func flock(f *os.File, shared bool) (bool, error) {
	flags := uint32(windows.LOCKFILE_FAIL_IMMEDIATELY)
	if !shared {
		flags |= windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	at := windows.Overlapped{OffsetHigh: 1 << 30}
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, &at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return false, nil
	}
	return err == nil, err
}
