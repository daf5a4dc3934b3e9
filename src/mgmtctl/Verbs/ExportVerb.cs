using System.CommandLine;

namespace Mgmt.Cli.Verbs;

/// <summary>export-test-host</summary>
internal static class ExportVerb
{
    public static Command Create(CommandLine cli)
    {
        var file = new Argument<string>("FILE") { Description = "Where to write it, - for standard output" };
        string[] examples = ["mgmtctl export-test-host host.json", "mgmtd --backend test:///$PWD/host.json"];
        return cli.Verb("export-test-host", "Write this host's VMs as a file that the test:/// backend reads", examples, [file], async (run, token) =>
        {
            var document = await run.Daemon.CallAsync("mgmt.host.Export", "", Daemon.Host, "", token);
            if (run.Get(file) == "-")
            {
                await run.Output.BytesAsync(document, token);
            }
            else
            {
                await File.WriteAllBytesAsync(run.Get(file)!, document, token);
            }
            return ExitCode.Done;
        });
    }
}
