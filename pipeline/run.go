package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// Options says how to run. The zero value runs all stages unobserved.
type Options struct {
	Targets    []string // stages whose artifacts are wanted; none means all
	Recipe     string   // name, for the record
	RecipeText string   // as resolved, for the record
	Program    string   // version of the program, for record and manifests
	Observer   Observer // nil means none
}

// Run makes the artifacts that are wanted and not there, one stage at a time,
// and reuses the others. When ctx is cancelled the running stage is asked to
// end, and what it left in its scratch directory is there for the next run.
//
// The record is also in the store; it is nil only if nothing was begun. An
// error of a stage names the stage; after a cancel it wraps ctx.Err().
func Run(ctx context.Context, s *Store, stages []Stage, o Options) (*Record, error) {
	plan, err := NewPlan(ctx, s, stages, o.Targets...)
	if err == nil {
		err = plan.Err()
	}
	if err != nil {
		return nil, err
	}
	r, err := newRunner(ctx, s, plan, o)
	if err != nil {
		return nil, err
	}
	return r.record, r.end(ctx, r.all(ctx, plan.nodes))
}

// runner is one run. Everything in it belongs to the goroutine that called Run.
type runner struct {
	store    *Store
	dir      string
	lock     *lock
	record   *Record
	events   *eventLog
	observer Observer
	done     map[*node]bool
	fault    error  // the first failure to keep the record
	cancel   func() // ends the running stage
}

// newRunner makes the run's directory and takes its lock first, so that
// nobody takes the run for dead.
func newRunner(ctx context.Context, s *Store, plan *Plan, o Options) (*runner, error) {
	if err := s.create(); err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	now := time.Now()
	r := &runner{store: s, observer: o.Observer, done: make(map[*node]bool), cancel: func() {}}
	if r.observer == nil {
		r.observer = quiet{}
	}
	r.record = &Record{
		ID: newRunID(now), Status: Running, Program: o.Program, Recipe: o.Recipe, RecipeText: o.RecipeText,
		Targets: o.Targets, Host: host, PID: os.Getpid(), Started: now.UTC(), Stages: []StageRecord{},
	}
	for _, p := range plan.Stages {
		r.record.Stages = append(r.record.Stages, StageRecord{Name: p.Name, Kind: p.Kind, ID: p.ID, Outcome: Pending, Reason: p.Reason, PlannedBytes: p.PeakBytes})
	}
	r.dir = s.runDir(r.record.ID)
	if err := r.open(ctx); err != nil {
		if r.lock != nil {
			err = errors.Join(err, r.lock.release())
		}
		return nil, fmt.Errorf("begin run: %w", err)
	}
	return r, nil
}

func (r *runner) open(ctx context.Context) error {
	var err error
	// Nobody else knows the id, but others look at every lock for a moment.
	if r.lock, err = waitLock(ctx, r.store.runLock(r.record.ID), false, func(int) bool { return false }); err != nil {
		return err
	}
	if err := os.Mkdir(r.dir, 0o777); err != nil {
		return err
	}
	if err := r.record.write(r.dir); err != nil {
		return err
	}
	r.events, err = newEventLog(r.dir)
	return err
}

// all goes through the planned stages.
func (r *runner) all(ctx context.Context, nodes []*node) error {
	if err := r.store.sweep(); err != nil {
		return err
	}
	r.saveHashes()
	for _, n := range nodes {
		if err := r.ensure(ctx, n); err != nil || r.fault != nil {
			return err
		}
	}
	return nil
}

// ensure reuses or makes the artifact of n. It decides anew, whatever was
// planned: another process may have made it, or an input that was made again
// came out differently.
func (r *runner) ensure(ctx context.Context, n *node) error {
	if r.done[n] {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("before stage %s: %w", n.stage.Name, err)
	}
	if r.store.judge(n).usable() {
		if err := r.store.removeScratch(n); err != nil {
			return fmt.Errorf("stage %s: %w", n.stage.Name, err)
		}
		return r.reuse(n)
	}
	for _, in := range n.inputs {
		if err := r.ensure(ctx, in); err != nil {
			return err
		}
	}
	return r.make(ctx, n)
}

// end writes the last of the record. err is what ended the run.
func (r *runner) end(ctx context.Context, err error) error {
	r.saveHashes()
	if !errors.Is(err, r.fault) {
		err = errors.Join(err, r.fault)
	}
	r.record.Status, r.record.Ended = Done, time.Now().UTC()
	if err != nil {
		r.record.Status, r.record.Error = Failed, err.Error()
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			r.record.Status = Interrupted
		}
	}
	return errors.Join(err, r.events.close(), r.record.write(r.dir), r.lock.release())
}

// saveHashes keeps what was learned of outside files. Without it the next run
// only takes longer.
func (r *runner) saveHashes() {
	if err := r.store.saveHashes(); err != nil {
		r.warn("", err.Error())
	}
}
