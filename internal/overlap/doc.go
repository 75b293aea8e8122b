// Package overlap finds which texts of a stream repeat earlier ones, and which
// contain the text of benchmarks.
//
// A Finder takes texts in order. It finds equal ones by a 128-bit hash and
// similar ones by sketches of their shingles: a sketch of k values estimates
// the Jaccard similarity J of two sets of shingles with the standard error
// sqrt(J(1-J)/k) or less (Dahlgaard, Knudsen, Thorup, "Fast Similarity
// Sketching", FOCS 2017). Bands of sketches that agree name the candidates.
// What grows with the texts is on disk, except 12 bytes a text.
//
// An Index holds the n-grams of words of benchmark items and is asked which of
// them a text contains; a Tally counts the answers in both directions.
package overlap
