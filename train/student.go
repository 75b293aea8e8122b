package train

import (
	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/model"
)

// Student is a model that Run trains.
type Student interface {
	// Params are what is trained, and Trainable how many values they have.
	Params() []*autodiff.Param
	Trainable() int
	Device() compute.Device
	// Graph is the graph of the summed loss of n rows, for training or evaluation.
	Graph(n int, train bool, dropout float32) (*autodiff.Graph, error)
	// Bytes is the memory that the weights take, and KeyCols the width of a row's keys.
	Bytes() int
	KeyCols() int
}

var (
	_ Student = (*model.Model)(nil)
	_ Student = (*model.Classifier)(nil)
)
