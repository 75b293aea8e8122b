// Package bench measures how fast the engine is: training, generating, and the
// matrix products beneath them, on random weights of a named shape, so that it
// runs anywhere and without files.
//
// In: options (a shape, a storage format, sizes, how many runs). Out: figures,
// each the median of the runs with the smallest and the largest, beside what
// the processor's registers reach in the same run and the most memory that the
// process has held. Training is train.Run's own steps, generating is the
// Decoder's own Generate: nothing is measured that users do not run.
//
// The shape letters are those of package compute.
package bench
