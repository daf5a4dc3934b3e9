using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using Mgmt.Cli.Rendering;
using Mgmt.Cli.Verbs;
using Mgmt.Core;
using Mgmt.Wire;

namespace Mgmt.Cli;

/// <summary>The options that every verb has, and how a verb is run: one line and an exit code for whatever goes wrong.</summary>
internal sealed class CommandLine
{
    // What a verb may take to put away what it began, after Ctrl-C.
    private static readonly TimeSpan s_tidying = TimeSpan.FromSeconds(20);
    private readonly Dictionary<Command, string[]> _examples = [];
    private readonly Option<string?> _connect = new("--connect")
    {
        Description = "The daemon: qemu:///system (default), qemu:///session, unix:///PATH, or in a guest " + Endpoint.Qrexec,
        HelpName = "URI",
        Recursive = true,
    };

    private readonly Option<string?> _socket = new("--socket")
    {
        Description = "The daemon's socket; without --connect and --socket: $MGMT_SOCKET, else " + Endpoint.System,
        HelpName = "PATH",
        Recursive = true,
    };

    private readonly Option<bool> _json = new("--json") { Description = "Write JSON", Recursive = true };
    private readonly Terminal _terminal;
    private readonly TimeProvider _time;

    public CommandLine(Terminal terminal, TimeProvider time)
    {
        _terminal = terminal;
        _time = time;
        Root = new RootCommand("Manages the VMs of a host that runs mgmtd.\nExit status: 0 done, 1 refused, 2 wrong usage, 126 denied by policy.");
        Root.Options.Add(_connect);
        Root.Options.Add(_socket);
        Root.Options.Add(_json);
        Root.Directives.Clear();
        var help = Root.Options.OfType<HelpOption>().Single();
        help.Action = new HelpWithExamples((HelpAction)help.Action!, _examples);
        _examples[Root] = ["mgmtctl ls", "mgmtctl start work", "mgmtctl --connect qemu:///session status", "mgmtctl VERB --help"];
    }

    public RootCommand Root { get; }

    public void Add(params ReadOnlySpan<Command> verbs)
    {
        foreach (var verb in verbs)
        {
            Root.Subcommands.Add(verb);
        }
    }

    /// <summary>Makes a verb. <paramref name="examples"/> are shown by its help.</summary>
    public Command Verb(string name, string summary, string[] examples, Symbol[] symbols, Func<Run, CancellationToken, Task<int>> act)
    {
        var verb = Group(name, summary, examples, symbols);
        verb.SetAction((parse, cancellationToken) => GuardAsync(parse, act, cancellationToken));
        return verb;
    }

    /// <summary>Makes a verb that only has verbs below it.</summary>
    public Command Group(string name, string summary, string[] examples, params Symbol[] symbols)
    {
        var verb = new Command(name, summary);
        foreach (var symbol in symbols)
        {
            switch (symbol)
            {
                case Argument argument: verb.Arguments.Add(argument); break;
                case Option option: verb.Options.Add(option); break;
                case Command command: verb.Subcommands.Add(command); break;
                default: throw new ArgumentException("neither argument, option nor verb", nameof(symbols));
            }
        }
        _examples[verb] = examples;
        return verb;
    }

    public ParseResult Parse(IReadOnlyList<string> args) =>
        Root.Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null, EnablePosixBundling = false });

    public async Task<int> RunAsync(IReadOnlyList<string> args, CancellationToken cancellationToken)
    {
        var parse = Parse(args);
        if (parse.Action is ParseErrorAction && parse.Errors.Count > 0)
        {
            // A word too many is what is wrong, even when that leaves something else missing.
            var reason = parse.UnmatchedTokens is [var word, ..] ? $"'{word}' is no verb, option or argument here" : parse.Errors[0].Message.TrimEnd('.');
            return Complain($"{reason} (see 'mgmtctl {VerbPath(parse)}--help')", ExitCode.Usage);
        }
        if (UnknownOption(parse) is { } option)
        {
            return Complain($"'{option}' is no option here; words that begin with - come after -- (see 'mgmtctl {VerbPath(parse)}--help')", ExitCode.Usage);
        }
        await using var output = new StreamWriter(_terminal.Out, leaveOpen: true);
        return await parse.InvokeAsync(
            new InvocationConfiguration { Output = output, Error = _terminal.Error, EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = s_tidying },
            cancellationToken);
    }

    /// <summary>The daemon that a command line means.</summary>
    public Daemon Connect(ParseResult parse) =>
        new(new MgmtClient(Endpoint.Resolve(parse.GetValue(_socket), parse.GetValue(_connect), _terminal.Variable)) { Time = _time });

    private async Task<int> GuardAsync(ParseResult parse, Func<Run, CancellationToken, Task<int>> act, CancellationToken cancellationToken)
    {
        try
        {
            await using var output = new Output(_terminal, parse.GetValue(_json));
            return await act(new Run(parse, Connect(parse), output, _terminal, _time), cancellationToken);
        }
        catch (UsageException error)
        {
            return Complain($"{error.Message} (see 'mgmtctl {VerbPath(parse)}--help')", ExitCode.Usage);
        }
        catch (MgmtException error)
        {
            return Complain(error.Message, ExitCode.Of(error.Code));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return Complain(error.Message, ExitCode.Refused);
        }
        catch (ReaderGoneException)
        {
            return ExitCode.ReaderGone;
        }
        catch (OperationCanceledException)
        {
            return ExitCode.Interrupted;
        }
    }

    /// <summary>
    /// The parser takes an option that it does not know for an argument, and so would remove a VM of that name too.
    /// A word after an option is that option's value, and after <c>--</c> everything is an argument. So is a negative number where a setting's value is due.
    /// </summary>
    private static string? UnknownOption(ParseResult parse)
    {
        var previous = TokenType.Argument;
        foreach (var token in parse.Tokens.TakeWhile(token => token.Type != TokenType.DoubleDash))
        {
            if (token.Type == TokenType.Argument && previous != TokenType.Option && token.Value.Length > 1 && token.Value[0] == '-' && !IsNegativeValue(parse, token))
            {
                return token.Value;
            }
            previous = token.Type;
        }
        return null;
    }

    private static bool IsNegativeValue(ParseResult parse, Token token) => char.IsAsciiDigit(token.Value[1])
        && parse.CommandResult.Command.Arguments.Any(argument => argument.Name == Symbols.SettingValue && parse.GetResult(argument)?.Tokens.Contains(token) == true);

    private static string VerbPath(ParseResult parse)
    {
        var path = "";
        for (var result = parse.CommandResult; result?.Command is not (null or RootCommand); result = result.Parent as CommandResult)
        {
            path = result.Command.Name + " " + path;
        }
        return path;
    }

    private int Complain(string message, int exitCode)
    {
        _terminal.Error.WriteLine($"mgmtctl: {PlainText.OneLine(message)}");
        return exitCode;
    }
}
