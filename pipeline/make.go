package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"github.com/retort-ml/retort/internal/atomicfile"
	"github.com/retort-ml/retort/internal/memory"
)

// make runs the stage of n under the lock of its artifact. Its inputs are
// locked for reading meanwhile, so that nobody replaces one. Every process
// takes the inputs' locks before its own and waits for nothing once it has its
// own, so none can wait in a circle.
func (r *runner) make(ctx context.Context, n *node) error {
	sr := r.stageRecord(n)
	locks, all, err := r.lockAll(ctx, n)
	defer func() {
		for _, l := range slices.Backward(locks) {
			if err := l.release(); err != nil {
				r.warn(sr.Name, fmt.Sprintf("release lock: %v", err))
			}
		}
	}()
	if err != nil {
		return fmt.Errorf("stage %s: %w", sr.Name, err)
	}
	v := r.store.judge(n)
	if !all || v.usable() {
		return r.reuse(n)
	}
	if v.present {
		sr.Reason = v.fault
		r.warn(sr.Name, fmt.Sprintf("artifact %s cannot be used and is made again: %s", n.dirName(), v.fault))
	} else if n.action == ActionReuse {
		sr.Reason = "its artifact was removed meanwhile"
	}
	r.started(sr)
	debug.FreeOSMemory() // of the stage before
	counted, began := memory.ResetPeak(), time.Now()
	if err = r.fault; err == nil {
		err = r.execute(ctx, n)
	}
	sr.Seconds = time.Since(began).Seconds()
	if counted {
		sr.PeakBytes = memory.Peak()
	}
	if err == nil {
		err = r.fault
	}
	r.conclude(ctx, sr, err)
	r.done[n] = err == nil
	if err != nil && ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		err = fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	if err != nil {
		return fmt.Errorf("stage %s: %w", sr.Name, err)
	}
	return nil
}

// conclude writes down how the stage ended.
func (r *runner) conclude(ctx context.Context, sr *StageRecord, err error) {
	switch {
	case err == nil:
		sr.Outcome = Ran
	case ctx.Err() != nil:
		sr.Outcome = StageInterrupted
	default:
		sr.Outcome = StageFailed
	}
	if err != nil {
		sr.Error = err.Error()
	}
	if p, ok := errors.AsType[*panicError](err); ok {
		sr.Stack = string(p.stack)
	}
	r.finished(sr)
}

// lockAll takes the locks of the inputs for reading, then that of n. It
// returns what it took, also with an error, and whether that is all: it stops
// waiting for the lock of n if its artifact appears meanwhile, whose readers
// may hold the lock for hours.
func (r *runner) lockAll(ctx context.Context, n *node) (locks []*lock, all bool, err error) {
	var names []string
	for _, in := range n.inputs {
		names = append(names, in.dirName())
	}
	slices.Sort(names)
	names = append(slices.Compact(names), n.dirName())
	for _, name := range names {
		own := name == n.dirName()
		l, err := waitLock(ctx, r.store.artifactLock(name), !own, func(look int) bool {
			if own && r.store.judge(n).usable() {
				return true
			}
			// At the first look it may be a sweep, which holds every lock for a moment.
			if look == 2 {
				holder := lockHolder(r.store.artifactLock(name))
				r.log(n.stage.Name, fmt.Sprintf("waits for artifact %s, held by %s", name, holder))
			}
			return false
		})
		if err != nil || l == nil {
			return locks, false, err
		}
		locks = append(locks, l)
	}
	return locks, true, locks[len(locks)-1].sign(r.holder())
}

// execute fills the staging directory and commits it. The caller holds the locks.
func (r *runner) execute(ctx context.Context, n *node) (err error) {
	inputs, dirs, err := r.inputs(n)
	if err != nil {
		return err
	}
	staging, scratch := r.store.stagingDir(n.dirName()), r.store.scratchDir(n.dirName())
	defer func() {
		if removal := os.RemoveAll(staging); removal != nil {
			err = errors.Join(err, fmt.Errorf("remove staging directory: %w", removal))
		}
	}()
	err = errors.Join(os.RemoveAll(staging), os.Mkdir(staging, 0o777), os.MkdirAll(scratch, 0o777))
	if err != nil {
		return err
	}
	if err := r.unchanged(ctx, n); err != nil {
		return err
	}
	w := &Work{Dir: staging, Scratch: scratch, ID: n.id, stage: n.stage.Name, inputs: dirs}
	if err := r.call(ctx, n.stage, w); err != nil {
		return err
	}
	// From here on a cancel only waits: what the stage made is worth keeping.
	ctx = context.WithoutCancel(ctx)
	if err := r.unchanged(ctx, n); err != nil {
		// Partial work of other data must not be found under this id again.
		to, asideErr := r.store.setAside(scratch)
		return errors.Join(fmt.Errorf("%w; its partial work is in %s", err, to), asideErr)
	}
	return r.commit(ctx, n, inputs)
}

// inputs returns what the artifact of n is made from, and where it lies by
// stage name.
func (r *runner) inputs(n *node) ([]Input, map[string]string, error) {
	list := []Input{}
	dirs := make(map[string]string, len(n.inputs))
	for _, in := range n.inputs {
		a := r.store.loadArtifact(in.dirName())
		if a == nil {
			return nil, nil, fmt.Errorf("input %s: artifact %s was removed", in.stage.Name, in.dirName())
		}
		if a.Damage != nil {
			return nil, nil, fmt.Errorf("input %s: artifact %s: %w", in.stage.Name, in.dirName(), a.Damage)
		}
		list = append(list, Input{Stage: in.stage.Name, ID: in.id, Content: a.Manifest.Content()})
		dirs[in.stage.Name] = a.Dir
	}
	return list, dirs, nil
}

// unchanged fails if an outside file is no longer what the id says. Files
// whose stat is as before are not read again.
func (r *runner) unchanged(ctx context.Context, n *node) error {
	now, err := outsideFiles(ctx, r.store.hashes, n.stage.Files)
	if err != nil {
		return err
	}
	if changed := changedFiles(n.outside, now); len(changed) > 0 {
		return fmt.Errorf("%s during the run; run again", changed[0])
	}
	return nil
}

// call runs the stage in a goroutine of its own, and what it posts in this one.
func (r *runner) call(ctx context.Context, stage *Stage, w *Work) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.cancel = cancel
	posts, ended, result := make(chan func(*runner), 64), make(chan struct{}), make(chan error, 1)
	defer close(ended)
	w.posts, w.ended = posts, ended
	go guard(ctx, stage, w, result)
	for {
		select {
		case f := <-posts:
			f(r)
		case err := <-result:
			for len(posts) > 0 {
				(<-posts)(r)
			}
			if r.fault != nil { // the stage was cancelled for it
				return r.fault
			}
			return err
		}
	}
}

// guard sends the stage's error, however it ends.
func guard(ctx context.Context, stage *Stage, w *Work, result chan<- error) {
	err := errors.New("ended its goroutine instead of returning")
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{value: p, stack: debug.Stack()}
		}
		result <- err
	}()
	err = stage.Run(ctx, w)
}

// panicError is a panic of a stage, with where it came from for the record.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// commit turns the filled staging directory into the artifact. What lay at
// its place is set aside.
func (r *runner) commit(ctx context.Context, n *node, inputs []Input) error {
	staging, target := r.store.stagingDir(n.dirName()), r.store.artifactDir(n.dirName())
	if _, err := os.Lstat(filepath.Join(staging, manifestName)); err == nil {
		return fmt.Errorf("the stage wrote a %s of its own", manifestName)
	}
	files, err := listFiles(ctx, staging)
	if err != nil {
		return fmt.Errorf("list what was made: %w", err)
	}
	m := Manifest{
		Format: formatVersion, ID: n.id, Kind: n.stage.Kind, Stage: n.stage.Name, Version: n.stage.Version,
		Program: r.record.Program, Options: n.options, Inputs: inputs, Outside: append([]OutsideFile{}, n.outside...), Files: files,
	}
	if err := m.write(staging); err != nil {
		return fmt.Errorf("write %s: %w", manifestName, err)
	}
	if _, err := os.Lstat(target); err == nil {
		to, err := r.store.setAside(target)
		if err != nil {
			return err
		}
		r.log(n.stage.Name, "what was there before is in "+to)
	}
	if err := atomicfile.RenameDir(staging, target); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if err := os.RemoveAll(r.store.scratchDir(n.dirName())); err != nil {
		r.warn(n.stage.Name, fmt.Sprintf("remove scratch directory: %v", err))
	}
	return nil
}
