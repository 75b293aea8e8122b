package eval_test

import (
	"context"
	"fmt"
	"log"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/eval"
)

func ExampleEvaluate() {
	train := []datasets.Example{
		{ID: "1", Prompt: "where is my parcel", Response: "shipping"},
		{ID: "2", Prompt: "I forgot my password", Response: "login"},
		{ID: "3", Prompt: "parcel did not arrive", Response: "shipping"},
		{ID: "4", Prompt: "password reset please", Response: "login"},
	}
	test := []datasets.Example{
		{ID: "5", Prompt: "parcel lost", Response: "shipping"},
		{ID: "6", Prompt: "new password", Response: "login"},
	}
	ctx := context.Background()
	words, err := eval.TrainBagOfWords(ctx, train, 1)
	if err != nil {
		log.Fatal(err)
	}
	report, err := eval.Evaluate(ctx, eval.Options{Benchmark: "help desk"}, test, []eval.NamedSubject{
		{Identity: eval.Identity{Name: "bag of words", Role: eval.RoleBaseline}, Subject: words},
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	accuracy := report.Models[0].Metrics[0]
	fmt.Printf("%s %.2f, 95 %% interval %.2f to %.2f\n", accuracy.Name, accuracy.Value, accuracy.Interval.Low, accuracy.Interval.High)
	// Output: accuracy 1.00, 95 % interval 0.34 to 1.00
}
