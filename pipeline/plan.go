package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
)

// Action is what a plan means to do about a stage.
type Action string

// The actions of a plan.
const (
	ActionReuse Action = "reuse"
	ActionRun   Action = "run"
)

// Plan says what a run would do, in order. Targets' inputs that are neither in
// the store nor needed, because what is made from them is there, are left out.
type Plan struct {
	Stages []PlannedStage `json:"stages"`

	nodes []*node // of Stages, in the same order
}

// PlannedStage is what a run would do about one stage.
type PlannedStage struct {
	Name    string   `json:"name"`
	Kind    string   `json:"kind"`
	ID      string   `json:"id"`     // of its artifact
	Inputs  []string `json:"inputs"` // stages
	Action  Action   `json:"action"`
	Reason  string   `json:"reason"`
	Resumes bool     `json:"resumes,omitempty"` // an earlier run left partial work
	// PeakBytes is the most memory that the process will take while the stage
	// runs; 0 if it does not, or nobody can tell. MemoryFault says that this is
	// too much, and what would fit.
	PeakBytes   int64  `json:"peak_bytes,omitempty"`
	MemoryFault string `json:"memory_fault,omitempty"`
	// Charge is what others will charge for the stage; nil if nobody does, or it does not run.
	Charge *Charge `json:"charge,omitempty"`
}

// Err says which stages cannot run, with their names; nil if all can.
func (p *Plan) Err() error {
	var errs []error
	for _, s := range p.Stages {
		if s.MemoryFault != "" {
			errs = append(errs, fmt.Errorf("stage %s: %s", s.Name, s.MemoryFault))
		}
	}
	return errors.Join(errs...)
}

// node is a stage with everything its artifact's id is made of.
type node struct {
	stage   *Stage
	id      string
	options []byte // canonical JSON
	outside []OutsideFile
	inputs  []*node // as stage.Inputs
	action  Action  // as planned; empty if it was not
}

func (n *node) dirName() string { return dirName(n.stage.Kind, n.id) }

// NewPlan says what Run would do with these stages, and changes nothing.
// Targets name the stages whose artifacts are wanted; none means all. The
// error holds every fault of the stages at once, but for those that the plan's
// Err tells.
func NewPlan(ctx context.Context, s *Store, stages []Stage, targets ...string) (*Plan, error) {
	ordered, err := order(stages, targets)
	if err != nil {
		return nil, err
	}
	nodes, err := describe(ctx, s.hashes, ordered)
	if err != nil {
		return nil, err
	}
	wanted := func(n *node) bool { return len(targets) == 0 || slices.Contains(targets, n.stage.Name) }
	f := s.foresee(nodes, wanted)
	plan, err := s.plan(f)
	if err != nil {
		return nil, err
	}
	return plan, s.forecast(ctx, plan, f)
}

// forecast asks the stages that will run how much memory they take, and what
// will be charged for them.
func (s *Store) forecast(ctx context.Context, plan *Plan, f *forecast) error {
	made := func(stage string) string {
		for _, n := range f.nodes {
			if n.stage.Name == stage && f.verdicts[n].usable() {
				return s.artifactDir(n.dirName())
			}
		}
		return ""
	}
	var errs []error
	for i, n := range plan.nodes {
		if n.action != ActionRun {
			continue
		}
		p := &plan.Stages[i]
		if n.stage.Memory != nil {
			m, err := n.stage.Memory(ctx, made)
			if err != nil {
				errs = append(errs, fmt.Errorf("stage %s: memory that it takes: %w", n.stage.Name, err))
			}
			p.PeakBytes, p.MemoryFault = m.PeakBytes, m.Fault
		}
		if n.stage.Charge != nil {
			c, err := n.stage.Charge(ctx, made)
			if err != nil {
				errs = append(errs, fmt.Errorf("stage %s: what it costs: %w", n.stage.Name, err))
			}
			p.Charge = &c
		}
	}
	return errors.Join(errs...)
}

// describe computes the ids of stages that are given in order.
func describe(ctx context.Context, hashes *fileHashes, ordered []*Stage) ([]*node, error) {
	var errs []error
	var nodes []*node
	byName := make(map[string]*node, len(ordered))
	for _, stage := range ordered {
		n := &node{stage: stage}
		for _, in := range stage.Inputs {
			n.inputs = append(n.inputs, byName[in])
		}
		if err := n.describe(ctx, hashes); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			errs = append(errs, fmt.Errorf("stage %s: %w", stage.Name, err))
		}
		byName[stage.Name] = n
		nodes = append(nodes, n)
	}
	return nodes, errors.Join(errs...)
}

func (n *node) describe(ctx context.Context, hashes *fileHashes) error {
	var err error
	if n.options, err = canonicalJSON(n.stage.Fingerprint); err != nil {
		return fmt.Errorf("fingerprint: %w", err)
	}
	if n.outside, err = outsideFiles(ctx, hashes, n.stage.Files); err != nil {
		return err
	}
	d := description{Format: formatVersion, Kind: n.stage.Kind, Version: n.stage.Version, Options: n.options, Files: n.outside}
	for _, in := range n.inputs {
		d.Inputs = append(d.Inputs, in.id)
	}
	n.id, err = d.id()
	return err
}

// verdict says whether the artifact of a node can be reused.
type verdict struct {
	manifest *Manifest // of the artifact, if it can
	present  bool      // there is something at its place
	fault    string    // why it cannot, if present
}

func (v verdict) usable() bool { return v.manifest != nil }

// judge looks at the artifact of n and at the inputs that are there.
func (s *Store) judge(n *node) verdict {
	a := s.loadArtifact(n.dirName())
	switch {
	case a == nil:
		return verdict{}
	case a.Damage != nil:
		return verdict{present: true, fault: "damaged: " + a.Damage.Error()}
	case a.Manifest.ID != n.id:
		return verdict{present: true, fault: "damaged: holds " + a.Manifest.ID}
	}
	for i, in := range n.inputs {
		b := s.loadArtifact(in.dirName())
		if b == nil || b.Damage != nil {
			continue
		}
		if a.Manifest.Inputs[i].Content != b.Manifest.Content() {
			return verdict{present: true, fault: fmt.Sprintf("input %s was made again with other content", in.stage.Name)}
		}
	}
	return verdict{manifest: a.Manifest, present: true}
}

// forecast is what planning found out about the nodes.
type forecast struct {
	nodes    []*node
	verdicts map[*node]verdict
	first    map[string]*node // by id: stages alike share an artifact
	needed   map[*node]bool
	runs     map[*node]bool
}

// foresee decides backwards which stages are needed: those that are wanted,
// and what the stages that run read.
func (s *Store) foresee(nodes []*node, wanted func(*node) bool) *forecast {
	f := &forecast{nodes, make(map[*node]verdict), make(map[string]*node), make(map[*node]bool), make(map[*node]bool)}
	for _, n := range nodes {
		f.verdicts[n] = s.judge(n)
		if f.first[n.id] == nil {
			f.first[n.id] = n
		}
	}
	for _, n := range slices.Backward(nodes) {
		f.needed[n] = f.needed[n] || wanted(n)
		if !f.needed[n] || f.verdicts[n].usable() {
			continue
		}
		if alike := f.first[n.id]; alike != n {
			f.needed[alike] = true
			continue
		}
		f.runs[n] = true
		for _, in := range n.inputs {
			f.needed[in] = true
		}
	}
	return f
}

// plan writes a forecast down.
func (s *Store) plan(f *forecast) (*Plan, error) {
	plan := &Plan{Stages: []PlannedStage{}}
	why := reasons{store: s, runs: f.runs}
	for _, n := range f.nodes {
		if !f.needed[n] && !f.verdicts[n].usable() {
			continue
		}
		p := PlannedStage{Name: n.stage.Name, Kind: n.stage.Kind, ID: n.id, Inputs: append([]string{}, n.stage.Inputs...), Action: ActionReuse}
		switch alike := f.first[n.id]; {
		case f.runs[n]:
			reason, err := why.run(n, f.verdicts[n])
			if err != nil {
				return nil, err
			}
			p.Action, p.Reason, p.Resumes = ActionRun, reason, s.hasScratch(n)
		case alike != n:
			p.Reason = "same artifact as stage " + alike.stage.Name
		default:
			p.Reason = why.reuse(n)
		}
		n.action = p.Action
		plan.Stages, plan.nodes = append(plan.Stages, p), append(plan.nodes, n)
	}
	return plan, nil
}

func (s *Store) hasScratch(n *node) bool {
	entries, err := os.ReadDir(s.scratchDir(n.dirName()))
	return err == nil && len(entries) > 0
}
