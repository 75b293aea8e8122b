package recipes

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"
)

// applySet changes the recipe's tree as --set path=value says. The path is
// keys joined by dots, from the top of the recipe or from the name of a stage;
// the value is YAML. Keys that are not there are added: a wrong one is found
// when the recipe is decoded.
func applySet(root *yaml.Node, set string) error {
	path, text, ok := strings.Cut(set, "=")
	if !ok || path == "" {
		return fmt.Errorf("--set %s: want key=value", set)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return fmt.Errorf("--set %s: %w", set, err)
	}
	value := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str"}
	if len(doc.Content) == 1 {
		value = doc.Content[0]
	}
	clearLines(value)
	keys := strings.Split(path, ".")
	if stages := child(root, "stages"); child(root, keys[0]) == nil && stages != nil && child(stages, keys[0]) != nil {
		keys = append([]string{"stages"}, keys...)
	}
	at := root
	for _, key := range keys[:len(keys)-1] {
		next := child(at, key)
		if next == nil {
			next = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
			if err := put(at, key, next); err != nil {
				return fmt.Errorf("--set %s: %w", set, err)
			}
		}
		at = next
	}
	if err := put(at, keys[len(keys)-1], value); err != nil {
		return fmt.Errorf("--set %s: %w", set, err)
	}
	return nil
}

// clearLines: the lines of a value from the command line are not the file's.
func clearLines(n *yaml.Node) {
	n.Line = 0
	for _, c := range n.Content {
		clearLines(c)
	}
}

func child(n *yaml.Node, key string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func put(n *yaml.Node, key string, value *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("%s is not under keys and values", key)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			n.Content[i+1] = value
			return nil
		}
	}
	n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}, value)
	return nil
}
