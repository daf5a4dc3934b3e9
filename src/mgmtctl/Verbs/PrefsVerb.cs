using System.CommandLine;
using Mgmt.Cli.Formats;

namespace Mgmt.Cli.Verbs;

/// <summary>prefs: properties of a VM (mgmt.vm.property.*) or of the host (mgmt.property.*).</summary>
internal static class PrefsVerb
{
    /// <summary>The argument, by whose name completion knows it.</summary>
    public const string Preference = "VM NAME VALUE";

    private static readonly Argument<string[]> Words = Symbols.Words(Preference, "VM [NAME [VALUE]], or with --global [NAME [VALUE]]", 3);
    public static readonly Option<bool> Global = new("--global") { Description = "The host's own properties" };
    private static readonly Option<bool> Reset = new("--reset") { Description = "Back to the default" };
    private static readonly Option<bool> Default = new("--default") { Description = "Show what the default is" };
    private static readonly Option<bool> HelpProperty = new("--help-property") { Description = "Show what the property is for" };

    public static Command Create(CommandLine cli)
    {
        string[] examples =
        [
            "mgmtctl prefs work", "mgmtctl prefs work memory", "mgmtctl prefs work memory 800", "mgmtctl prefs work netvm ''",
            "mgmtctl prefs work memory --reset", "mgmtctl prefs work memory --default", "mgmtctl prefs --global default_template debian",
        ];
        return cli.Verb("prefs", "Show or change properties", examples, [Words, Global, Reset, Default, HelpProperty], (run, token) =>
        {
            var words = new Queue<string>(run.Get(Words)!);
            var isGlobal = run.Get(Global);
            if (!isGlobal && words.Count == 0)
            {
                throw new UsageException("prefs needs a VM or --global");
            }
            var holder = isGlobal
                ? new Holder(run, "mgmt.property.", Daemon.Host, token)
                : new Holder(run, "mgmt.vm.property.", words.Dequeue(), token);
            var name = words.TryDequeue(out var first) ? first : null;
            var value = words.TryDequeue(out var second) ? second : null;
            return words.Count > 0 ? throw new UsageException("too many words") : ActAsync(run, holder, name, value);
        });
    }

    private static Task<int> ActAsync(Run run, Holder holder, string? name, string? value)
    {
        var flags = (run.Get(Reset) ? 1 : 0) + (run.Get(Default) ? 1 : 0) + (run.Get(HelpProperty) ? 1 : 0);
        if (flags > 1 || (flags == 1 && (name is null || value is not null)))
        {
            throw new UsageException("--reset, --default and --help-property take the name of a property and nothing else");
        }
        return name is null ? holder.ListAsync()
            : value is not null ? holder.SetAsync(name, value)
            : run.Get(Reset) ? holder.ResetAsync(name)
            : run.Get(Default) ? holder.DefaultAsync(name)
            : run.Get(HelpProperty) ? holder.HelpAsync(name)
            : holder.GetAsync(name);
    }

    private sealed record Holder(Run Run, string Prefix, string Destination, CancellationToken Token)
    {
        public async Task<int> ListAsync()
        {
            var lines = await Run.Daemon.LinesAsync(Prefix + "GetAll", "", Destination, Token);
            Run.Output.Table(["name", "default", "type", "value"], [.. lines.Select(PropertyText.OfLine).Select(p => new object?[] { p.Name, p.IsDefault, p.Type, p.Value })]);
            return ExitCode.Done;
        }

        public async Task<int> GetAsync(string name)
        {
            var property = PropertyText.OfGet(name, await TextAsync("Get", name));
            if (Run.Output.Json)
            {
                Run.Output.JsonLine(writer =>
                {
                    writer.WriteStartObject();
                    writer.WriteString("name", property.Name);
                    writer.WriteBoolean("default", property.IsDefault);
                    writer.WriteString("type", property.Type);
                    writer.WriteString("value", property.Value);
                    writer.WriteEndObject();
                });
                return ExitCode.Done;
            }
            Run.Output.Value("value", property.Value);
            return ExitCode.Done;
        }

        public async Task<int> SetAsync(string name, string value)
        {
            await Run.Daemon.CallAsync(Prefix + "Set", name, Destination, value, Token);
            return ExitCode.Done;
        }

        public async Task<int> ResetAsync(string name)
        {
            await TextAsync("Reset", name);
            return ExitCode.Done;
        }

        public async Task<int> DefaultAsync(string name)
        {
            Run.Output.Value("default", PropertyText.OfGetDefault(await TextAsync("GetDefault", name)));
            return ExitCode.Done;
        }

        public async Task<int> HelpAsync(string name)
        {
            Run.Output.Value("help", await TextAsync("Help", name));
            return ExitCode.Done;
        }

        private Task<string> TextAsync(string call, string name) => Run.Daemon.TextAsync(Prefix + call, name, Destination, Token);
    }
}
