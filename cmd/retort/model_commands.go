package main

import "github.com/urfave/cli/v2"

// modelCommands are those of one model.
func modelCommands(s streams) []*cli.Command {
	return []*cli.Command{modelPullCommand(s), modelShowCommand(s), modelVerifyCommand(s), modelTokenizeCommand(s),
		modelTemplateCommand(s), modelConvertCommand(s)}
}
