using System.Text;
using Mgmt.Wire;

namespace Mgmt.Cli.Verbs;

/// <summary>A daemon's rule files, by mgmt.policy.* and mgmt.policy.include.*.</summary>
internal sealed class DaemonRuleFiles(Run run, bool force) : IRuleFiles
{
    public async Task<(string Token, ReadOnlyMemory<byte> Bytes)> ReadAsync(string name, bool include, CancellationToken cancellationToken)
    {
        var answer = await CallAsync("Get", name, include, default, cancellationToken);
        var end = answer.Span.IndexOf((byte)'\n');
        return (Encoding.UTF8.GetString(answer.Span[..Math.Max(0, end)]), answer[(end + 1)..]);
    }

    public Task ReplaceAsync(string name, bool include, string token, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) =>
        ChangeAsync("Replace", name, include, (byte[])[.. Encoding.UTF8.GetBytes($"{Forced(token)}\n"), .. bytes.Span], cancellationToken);

    public Task RemoveAsync(string name, bool include, string token, CancellationToken cancellationToken) =>
        ChangeAsync("Remove", name, include, Encoding.UTF8.GetBytes(Forced(token)), cancellationToken);

    public Task RevertAsync(string name, bool include, string id, CancellationToken cancellationToken) =>
        ChangeAsync("Revert", name, include, Encoding.UTF8.GetBytes(Forced(id)), cancellationToken);

    /// <summary>List or History: the lines of the answer.</summary>
    public Task<string[]> LinesAsync(string action, string name, bool include, CancellationToken cancellationToken) =>
        run.Daemon.LinesAsync(Method(action, include), name, Daemon.Host, cancellationToken);

    private string Forced(string word) => force ? "force:" + word : word;

    private async Task ChangeAsync(string action, string name, bool include, ReadOnlyMemory<byte> payload, CancellationToken cancellationToken)
    {
        var answer = Encoding.UTF8.GetString((await CallAsync(action, name, include, payload, cancellationToken)).Span);
        foreach (var line in answer.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            run.Tell(line.StartsWith("warning=", StringComparison.Ordinal) ? "warning: " + line["warning=".Length..] : line);
        }
    }

    private Task<ReadOnlyMemory<byte>> CallAsync(string action, string name, bool include, ReadOnlyMemory<byte> payload, CancellationToken cancellationToken) =>
        run.Daemon.CallAsync(new RequestHeader(Method(action, include), name, Daemon.Host, DestinationKind.Name, Daemon.Host), payload, cancellationToken);

    private static string Method(string action, bool include) => (include ? "mgmt.policy.include." : "mgmt.policy.") + action;
}
