// Package recipes turns a recipe file into the stages of a pipeline. It is the
// only package that knows all the others.
//
// A recipe is YAML, decoded strictly: every unknown key, wrong type and value
// out of range is reported at once, each with file and line. It embeds the
// Options of the packages that do the work, so defaults have one source. Each
// kind of stage has a file of its own: its keys, and how it runs.
package recipes
