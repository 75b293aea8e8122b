package redact

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
	"unicode/utf8"
)

// The files of a vault, all of mode 0600.
const (
	vaultName = "vault.jsonl" // what placeholders stand for
	auditName = "audit.jsonl" // what was redacted when, without values
	keyName   = "audit.key"   // of the HMACs in the audit, 32 random bytes
	lockName  = "lock"
)

// Vault keeps on disk what the placeholders of scopes stand for. It belongs in
// a directory of its own that is never published.
//
// Any number of goroutines and of processes on one machine may use a vault: who
// writes holds a lock on a file (flock, LockFileEx on Windows), removes the torn
// line that a killed process left, and appends whole lines by one write. Of the
// goroutines that wait meanwhile, one writes the lines of all, so that they share
// two syncs. Do not put it on a network file system without locks.
type Vault struct {
	dir               string
	lock, file, audit *os.File
	key               []byte

	mu      sync.Mutex // of waiting and writing
	waiting []*keeping
	writing bool

	indexMu sync.Mutex
	index   index
}

// keeping is a call of Keep. Its done is closed when err is set.
type keeping struct {
	id      string
	entries []entry
	places  map[string][]auditPlace // by placeholder
	done    chan struct{}
	lead    chan struct{} // closed when it is to write for those that wait
	err     error
}

// vaultLine is a line of vault.jsonl.
type vaultLine struct {
	Scope       string `json:"scope"`
	Kind        string `json:"kind"`
	Placeholder string `json:"placeholder"`
	Original    string `json:"original,omitempty"`
	Bytes       []byte `json:"original_base64,omitempty"` // an original that is not UTF-8
}

func (l vaultLine) original() string { return l.Original + string(l.Bytes) }

// auditLine is a line of audit.jsonl.
type auditLine struct {
	Time        string `json:"time"` // UTC, RFC 3339
	Scope       string `json:"scope"`
	Kind        string `json:"kind"`
	Placeholder string `json:"placeholder"`
	Bytes       int    `json:"bytes"`       // length of the value
	HMAC        string `json:"hmac_sha256"` // of the value: equal for equal values of one vault
	// Places are where the value stood in the texts of the scope.
	Places []auditPlace `json:"places"`
}

// auditPlace is one place of a value.
type auditPlace struct {
	Text   int    `json:"text"`            // which of the scope's texts, from 0
	Field  string `json:"field,omitempty"` // of JSON, a pointer (RFC 6901)
	Offset int    `json:"offset"`          // in bytes
}

// OpenVault opens the vault in dir and creates what is missing of it. Close it.
func OpenVault(dir string) (*Vault, error) {
	v := &Vault{dir: dir, index: index{runs: map[uint64][]int64{}, seed: maphash.MakeSeed()}}
	if err := v.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open vault %s: %w", dir, err), v.Close())
	}
	return v, nil
}

func (v *Vault) open() (err error) {
	if err := os.MkdirAll(v.dir, 0o700); err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		file **os.File
	}{{lockName, &v.lock}, {vaultName, &v.file}, {auditName, &v.audit}} {
		*f.file, err = os.OpenFile(filepath.Join(v.dir, f.name), os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		if err := (*f.file).Chmod(0o600); err != nil {
			return err
		}
	}
	return v.locked(func() error {
		if v.key, err = openKey(filepath.Join(v.dir, keyName)); err != nil {
			return err
		}
		if err := errors.Join(cutTornLine(v.file), cutTornLine(v.audit)); err != nil {
			return err
		}
		if err := syncDir(v.dir); err != nil {
			return err
		}
		return v.refresh()
	})
}

// locked calls do while no other process, and no other Vault, writes.
func (v *Vault) locked(do func() error) (err error) {
	if err := lockFile(v.lock); err != nil {
		return fmt.Errorf("lock %s: %w", v.lock.Name(), err)
	}
	defer func() { err = errors.Join(err, unlockFile(v.lock)) }()
	return do()
}

const keyBytes = 32

// openKey reads the key, or makes one if there is none or half of one, with
// which nothing was signed.
func openKey(path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	if err == nil && len(key) == keyBytes {
		return key, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if len(key) > keyBytes {
		return nil, fmt.Errorf("%s: %d bytes, want %d", path, len(key), keyBytes)
	}
	key = make([]byte, keyBytes)
	rand.Read(key) // never fails
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = file.Write(key)
	return key, errors.Join(err, file.Sync(), file.Close())
}

// Close closes the files. No call of Keep or Restore may be under way.
func (v *Vault) Close() error {
	var list []error
	for _, f := range []*os.File{v.lock, v.file, v.audit} {
		if f != nil {
			list = append(list, f.Close())
		}
	}
	return errors.Join(list...)
}

// Keep makes durable what the placeholders of the scope stand for, and the audit
// lines. Call it before a redacted text leaves the machine. What the vault
// has of the scope already is not written again. The ID names the
// request as it was before the redaction, since two requests may be equal after
// it: a placeholder that stands for another value in this scope is an error.
func (v *Vault) Keep(id string, s *Scope) error {
	k := &keeping{id: id, entries: s.entries(), places: map[string][]auditPlace{}, done: make(chan struct{}), lead: make(chan struct{})}
	for _, f := range s.Findings() {
		k.places[f.Placeholder] = append(k.places[f.Placeholder], auditPlace{f.Text, f.Field, f.Offset})
	}
	if len(k.entries) == 0 {
		return nil
	}
	if !utf8.ValidString(id) {
		return fmt.Errorf("keep scope %q: its ID is not UTF-8", id)
	}
	v.mu.Lock()
	v.waiting = append(v.waiting, k)
	if !v.writing {
		v.writing = true
		close(k.lead)
	}
	v.mu.Unlock()
	select {
	case <-k.done:
	case <-k.lead:
		v.writeWaiting()
	}
	if k.err != nil {
		return fmt.Errorf("keep scope %s: vault %s: %w", id, v.dir, k.err)
	}
	return nil
}

// writeWaiting writes for all that wait, and hands over to one that came since.
func (v *Vault) writeWaiting() {
	v.mu.Lock()
	batch := v.waiting
	v.waiting = nil
	v.mu.Unlock()
	if err := v.locked(func() error { return v.write(batch) }); err != nil {
		for _, k := range batch {
			k.err = errors.Join(k.err, err)
		}
	}
	for _, k := range batch {
		close(k.done)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.writing = len(v.waiting) > 0
	if v.writing {
		close(v.waiting[0].lead)
	}
}

// write appends what is new in a batch. The audit comes first: a kill between the
// two leaves an audit line of a text that was not used, never the reverse.
func (v *Vault) write(batch []*keeping) error {
	if err := errors.Join(cutTornLine(v.file), cutTornLine(v.audit)); err != nil {
		return err
	}
	if err := v.refresh(); err != nil {
		return err
	}
	var lines, audits []byte
	now := time.Now().UTC().Format(time.RFC3339Nano)
	fresh := map[string]map[string]string{} // by scope and placeholder, also of this batch
	for _, k := range batch {
		known := fresh[k.id]
		if known == nil {
			if known, k.err = v.lookup(k.id); k.err != nil {
				continue
			}
			fresh[k.id] = known
		}
		if k.err = k.conflict(known); k.err != nil {
			continue
		}
		for _, e := range k.entries {
			if _, has := known[e.placeholder]; has {
				continue
			}
			known[e.placeholder] = e.original
			lines = appendLine(lines, newVaultLine(k.id, e))
			if e.kind != literal {
				audits = appendLine(audits, v.newAuditLine(now, k.id, e, k.places[e.placeholder]))
			}
		}
	}
	return errors.Join(appendSynced(v.audit, audits), appendSynced(v.file, lines))
}

// conflict returns an error if a placeholder is known for another value.
func (k *keeping) conflict(known map[string]string) error {
	for _, e := range k.entries {
		if original, has := known[e.placeholder]; has && original != e.original {
			return fmt.Errorf("%s stands for another value there", e.placeholder)
		}
	}
	return nil
}

func newVaultLine(id string, e entry) vaultLine {
	line := vaultLine{Scope: id, Kind: e.kind, Placeholder: e.placeholder}
	if utf8.ValidString(e.original) {
		line.Original = e.original
	} else {
		line.Bytes = []byte(e.original)
	}
	return line
}

func (v *Vault) newAuditLine(now, id string, e entry, places []auditPlace) auditLine {
	mac := hmac.New(sha256.New, v.key)
	mac.Write([]byte(e.original))
	return auditLine{now, id, e.kind, e.placeholder, len(e.original), hex.EncodeToString(mac.Sum(nil)), places}
}

func appendLine(lines []byte, line any) []byte {
	text, err := json.Marshal(line)
	if err != nil {
		panic(err) // strings and bytes always have a JSON form
	}
	return append(append(lines, text...), '\n')
}

// Restore is Scope.Restore with what the vault has kept of a scope, by any
// process. A scope without entries leaves the text as it is.
func (v *Vault) Restore(id, text string) (string, error) {
	err := v.refresh()
	var known map[string]string
	if err == nil {
		known, err = v.lookup(id)
	}
	if err != nil {
		return "", fmt.Errorf("restore scope %s: vault %s: %w", id, v.dir, err)
	}
	return restore(text, func(placeholder string) (string, bool) {
		original, ok := known[placeholder]
		return original, ok
	}), nil
}
