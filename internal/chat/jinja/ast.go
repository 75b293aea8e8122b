package jinja

// expr is an expression; it is evaluated through run.eval, which counts steps.
type expr interface {
	eval(r *run, s *scope) (Value, error)
}

// stmt is a statement, which writes to w.
type stmt interface {
	exec(r *run, s *scope, w *writer) error
	at() int // line
}

type line int

func (l line) at() int { return int(l) }

type (
	constant  struct{ v Value }
	name      struct{ id string }
	listExpr  struct{ items []expr }
	tupleExpr struct{ items []expr }
	dictExpr  struct{ keys, vals []expr }
	unaryExpr struct {
		op string
		x  expr
	}
	binaryExpr struct {
		op   string
		x, y expr
	}
	logicExpr struct {
		or   bool
		x, y expr
	}
	concatExpr struct{ parts []expr }
	comparison struct {
		x   expr
		ops []string
		ys  []expr
	}
	condition struct{ test, yes, no expr } // no may be nil
	attribute struct {
		x    expr
		name string
	}
	index struct{ x, key expr }
	slice struct{ start, stop, step expr } // each may be nil
	call  struct {
		fn   expr
		args callArgs
	}
	filter struct { // x is nil in a filter block: the block's text
		x    expr
		name string
		args callArgs
	}
	test struct {
		x    expr
		name string
		args callArgs
	}
	callArgs struct {
		pos          []expr
		names        []string
		named        []expr
		star, kwstar expr // *x and **x, may be nil
	}
)

type (
	output struct {
		line
		parts []outputPart
	}
	outputPart struct { // data, or an expression
		data string
		x    expr
	}
	ifStmt struct {
		line
		tests  []expr
		bodies [][]stmt
		orElse []stmt
	}
	forStmt struct {
		line
		target    target
		iter      expr
		filter    expr // may be nil
		body      []stmt
		orElse    []stmt
		recursive bool
	}
	setStmt struct {
		line
		target target
		x      expr
	}
	setBlock struct {
		line
		target target
		body   []stmt
		filter expr
	}
	withStmt struct {
		line
		targets []target
		values  []expr
		body    []stmt
	}
	macroStmt struct {
		line
		name         string
		params       []string
		defaults     []expr // of the last params
		body         []stmt
		usesCaller   bool
		usesVarargs  bool
		usesKeywords bool
	}
	callBlock struct {
		line
		macro *macroStmt
		call  expr
	}
	filterBlock struct {
		line
		body   []stmt
		filter expr
	}
	generation struct {
		line
		body []stmt
	}
	exprStmt struct {
		line
		leave error
	} // break, continue
)

// target is what is assigned to: a name, ns.attr, or a list of targets.
type target struct {
	name, attr string
	many       []target
}
