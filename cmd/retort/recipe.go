package main

import (
	"github.com/retort-ml/retort/pipeline"
	"github.com/retort-ml/retort/recipes"

	"github.com/urfave/cli/v2"
)

// prepared is a recipe with its stages and the store they use.
type prepared struct {
	recipe *recipes.Recipe
	stages []pipeline.Stage
	store  *pipeline.Store
}

// prepare reads the recipe that a command names.
func prepare(c *cli.Context) (*prepared, error) {
	path, err := argument(c, "one recipe: a YAML file or the name of a built-in one")
	if err != nil {
		return nil, err
	}
	r, err := recipes.Load(path, c.StringSlice("set")...)
	if err != nil {
		return nil, err
	}
	p := &prepared{recipe: r}
	for _, t := range c.StringSlice("target") {
		if !r.HasStage(t) {
			return nil, usagef("--target %s: the recipe has no such stage", t)
		}
	}
	if p.store, err = pipeline.Open(c.String("store")); err != nil {
		return nil, err
	}
	p.stages = r.Pipeline(p.store.Dir())
	return p, nil
}
