package compute

import "gorgonia.org/tensor"

// Device has the primitives of the engine. Every method may be called from one
// goroutine at a time per Device; a device uses its own threads inside. Results
// are the same bytes at any thread count. Arguments whose shapes do not fit
// make a method panic: a broken promise of the calling code. Output views must
// not overlap inputs except where a method says so.
type Device interface {
	// New returns a zeroed array of the device.
	New(shape ...int) *tensor.Dense
	// Host returns the view's values for reading and writing by the host. On
	// the CPU it is the memory itself; m must be contiguous (Stride = Cols).
	Host(m Mat) []float32

	// MatMul sets y (N,Out) to alpha·x·wᵀ, or adds it when add: x (N,In).
	MatMul(y, x Mat, w *Weight, alpha float32, add bool)
	// MatMulGrad sets dx (N,In) to alpha·dy·w, or adds it when add: dy (N,Out).
	MatMulGrad(dx, dy Mat, w *Weight, alpha float32, add bool)
	// MatMulSums does products that belong together: each sets its Y to the sum
	// of its terms, or adds that. No Y may overlap another or an X.
	MatMulSums(products []Product)
	// MatMulOuter sets dw (Out,In) to alpha·dyᵀ·x, or adds it when add: dy (N,Out), x (N,In).
	MatMulOuter(dw, dy, x Mat, alpha float32, add bool)

	// MatVec sets each row of y (N,Out) to alpha·w times that row of x (N,In), or
	// adds it when add: products for generating, one token of each of N
	// sequences. A row's bytes do not depend on the rows beside it. They may
	// differ from MatMul's, as sums may be taken in another order, and a
	// device may round the rows of x to 8 bits when w is quantized.
	MatVec(y, x Mat, w *Weight, alpha float32, add bool)

	// Embed sets row i of y (N,D) to row ids[i] of w (V,D), times scale; a negative id gives zeros.
	Embed(y Mat, w *Weight, ids []int32, scale float32)
	// EmbedGrad adds row i of dy (N,D), times scale, to row ids[i] of dw (V,D).
	EmbedGrad(dw, dy Mat, ids []int32, scale float32)

	// RMSNorm sets row i of y (N,D) to x_i / sqrt(mean(x_i²) + eps) · gain (1,D).
	RMSNorm(y, x, gain Mat, eps float32)
	// RMSNormGrad sets dx (N,D), or adds to it when add, and adds to dgain (1,D) unless dgain.Array is nil.
	RMSNormGrad(dx, dgain, dy, x, gain Mat, eps float32, add bool)

	// LayerNorm sets row i of y (N,D) to (x_i − mean(x_i)) / sqrt(var(x_i) + eps) · gain (1,D) + bias (1,D).
	LayerNorm(y, x, gain, bias Mat, eps float32)
	// LayerNormGrad sets dx (N,D), or adds to it when add, and adds to dgain and
	// dbias (1,D), each unless its Array is nil.
	LayerNormGrad(dx, dgain, dbias, dy, x, gain Mat, eps float32, add bool)

	// Rotate turns the heads of x (N, heads·E) in place by the angle of each
	// row's position: pairs (j, j+P/2) as Hugging Face's Llama has them, P being
	// twice the number of r's frequencies. The columns of a head from P ≤ E on
	// stay as they are. positions (N) are not negative. back turns the other
	// way, which is the gradient.
	Rotate(x Mat, headDim int, positions []int32, r *Rotation, back bool)
	// Attention sets out (N,H·E) to attention within segments, causal or not as
	// a says, and logsumexp (N,H), of the scaled scores, for the gradient. q
	// (N,H·E), k and v (N,G·E) are rotated already.
	Attention(out, logsumexp, q, k, v Mat, a AttentionShape)
	// AttentionGrad sets dq, dk, dv.
	AttentionGrad(dq, dk, dv, dout, out, logsumexp, q, k, v Mat, a AttentionShape)

	// AttentionCached sets out (N,H·E) to causal attention of each sequence's
	// newest rows over all its keys and values: q (N,H·E) has the rows of one
	// sequence after those of another. A row's bytes follow from its query and
	// from the keys and values that it sees alone: not from the other sequences,
	// nor from how keys are cut into parts, nor from how many rows of its own
	// sequence are computed in the same call. From, To and KeyOffset have no meaning here.
	AttentionCached(out, q Mat, sequences []CachedSequence, a AttentionShape)

	// SoftCap replaces each value of x by cap·tanh(x/cap), cap being positive.
	SoftCap(x Mat, cap float32)
	// SoftCapGrad multiplies dx by the slopes of SoftCap where it gave y: 1 − (y/cap)².
	SoftCapGrad(dx, y Mat, cap float32)

	// GLU sets out (N,F) to act(gate)·up of gateUp (N,2F).
	GLU(out, gateUp Mat, act Activation)
	// GLUGrad sets dgateUp (N,2F).
	GLUGrad(dgateUp, dout, gateUp Mat, act Activation)

	// Activate sets y (N,C) to act(x), value by value.
	Activate(y, x Mat, act Activation)
	// ActivateGrad sets dx (N,C) to dy·act'(x).
	ActivateGrad(dx, dy, x Mat, act Activation)

	// Add sets y to a + b; y may be a or b.
	Add(y, a, b Mat)
	// AddRow adds row (1,C) to every row of y (N,C).
	AddRow(y, row Mat)
	// SumRows adds the sum of the rows of x (N,C) to y (1,C).
	SumRows(y, x Mat)
	// MulRow sets y (N,C) to x with every row multiplied by row (1,C); y may be x.
	MulRow(y, x, row Mat)
	// SumProducts adds to y (1,C) the sum over the rows of a·b, both (N,C), element by element.
	SumProducts(y, a, b Mat)
	// GatherColumns sets row i of y (N,R) to column ids[i] of w (R,V); a negative id gives zeros.
	GatherColumns(y, w Mat, ids []int32)
	// GatherColumnsGrad adds row i of dy (N,R), times scale, to column ids[i] of dw (R,V).
	GatherColumnsGrad(dw, dy Mat, ids []int32, scale float32)
	// Scale multiplies x by s.
	Scale(x Mat, s float32)
	// Clear sets x to zeros, whatever it was.
	Clear(x Mat)
	// Copy sets y to x.
	Copy(y, x Mat)
	// Deal copies the rows of x (N,C) to parts, which take them in turn: the
	// first as many as it has rows, and so on, N in all. No part overlaps another.
	Deal(parts []Mat, x Mat)
	// Gather sets row i of y (n,C) to row rows[i] of x.
	Gather(y, x Mat, rows []int32)
	// Scatter sets row rows[i] of y to row i of x (n,C); rows has no value twice.
	Scatter(y, x Mat, rows []int32)
	// Dropout sets y (N,C) to x with each element kept with probability 1-p and
	// then divided by 1-p; 0 ≤ p < 1, to the nearest 1/65536. Which elements are kept follows from key and the
	// element's index alone, so the gradient is the same call on dy. y may be x.
	Dropout(y, x Mat, p float32, key uint64)

	// CrossEntropy replaces logits (n,V) by the gradient of Σ weights[i]·loss_i
	// and sets losses[i] to loss_i = −log softmax(logits_i)[targets[i]] in nats (not weighted).
	// A negative target is none: its row becomes zeros and its loss 0.
	// Probabilities under 1e-30 give a gradient of 0, as denormal numbers would
	// slow everything that follows.
	CrossEntropy(logits Mat, targets []int32, weights []float32, losses []float64)
	// LogSoftmax replaces each row of x by its log-softmax.
	LogSoftmax(x Mat)
	// Largest sets at[i] to the column of the largest value of row i of x, the
	// first of equals. NaNs do not count: a row of nothing else gives 0.
	Largest(x Mat, at []int32)

	// SumSquares returns Σ x², summed in float64 in a fixed order.
	SumSquares(x Mat) float64
	// AdamW does one update of param from grad with moments m and v, all of one shape.
	AdamW(param, grad, m, v Mat, o AdamW)
}

// Product is a sum of matrix products: Y (N,C) is set to it, or it is added.
type Product struct {
	Y     Mat
	Add   bool
	Terms []Term
}

// Term is Alpha·X·Wᵀ for X (N,In) and W (C,In), as MatMul computes it, or, if
// Grad, Alpha·X·W for X (N,Out) and W (Out,C), as MatMulGrad does.
type Term struct {
	X     Mat
	W     *Weight
	Alpha float32
	Grad  bool
}

// AttentionShape says which rows see which. Row i sees the rows j ≤ i of
// From[i] ≤ j: From[i] is the first row of its segment (or of its window). With
// To it sees the rows From[i] ≤ j < To[i], itself among them: in an encoder
// To[i] is the end of the segment. Rows of padding see themselves: From[i] = i
// and To[i] = i+1.
type AttentionShape struct {
	Heads, KVHeads, HeadDim int
	Scale                   float32 // of the scores, usually 1/sqrt(HeadDim)
	SoftCap                 float32 // scaled scores s become SoftCap·tanh(s/SoftCap); 0 leaves them
	From                    []int32 // (N)
	To                      []int32 // (N); nil means the row itself is the last one it sees
	// KeyOffset: query row i is key row KeyOffset+i, when k and v hold a cache
	// of rows before the queries (decoding). From and To count key rows.
	KeyOffset int
}

// CachedSequence is the keys and values that the newest rows of a sequence
// attend to. The last of the Rows queries sees every key, the one before it
// all but the last key, and so on.
type CachedSequence struct {
	Rows  int // queries
	Parts []KV
	// Window is how many keys a query sees at most, the newest of those it
	// would see; 0 is all of them.
	Window int
}

// KV is a part of a sequence's keys and values (n,G·E), rotated already; parts
// follow one another.
type KV struct{ Keys, Values Mat }

// Activation is a nonlinearity, of an MLP or a head.
type Activation uint8

// The activations, by the names of Hugging Face's hidden_act. GLU has the first
// two of them.
const (
	SiLU     Activation = iota // silu: x·sigmoid(x)
	GELUTanh                   // gelu_pytorch_tanh, and gelu_new
	GELU                       // gelu: x·Φ(x), Φ being the normal distribution
	ReLU                       // relu
	Tanh                       // tanh
)

// AdamW holds the numbers of one update (Loshchilov and Hutter 2019, as
// torch.optim.AdamW does it): the parameter is first scaled by
// 1 − Rate·Decay, the moments are corrected by 1 − Beta^Step.
type AdamW struct {
	Rate, Beta1, Beta2, Eps, Decay float64
	Step                           int     // 1 at the first update
	GradScale                      float32 // multiplies the gradient first: clipping and token normalisation
}
