using System.CommandLine;

namespace Mgmt.Cli.Verbs;

/// <summary>A volume of a VM on the command line: <c>VM:VOLUME</c>.</summary>
internal readonly record struct VolumeAddress(string Vm, string Volume)
{
    public const string Words = "VM:VOLUME";
    public const string Source = "SRC:VOLUME";
    public const string Target = "DST:VOLUME";

    public static Argument<string> Argument(string name = Words, string description = "The volume, such as work:private") => new(name) { Description = description };

    /// <summary>ERRORS: UsageException.</summary>
    public static VolumeAddress Parse(string text) => text.Split(':') is [{ Length: > 0 } vm, { Length: > 0 } volume]
        ? new(vm, volume)
        : throw new UsageException($"'{text}' is no volume; a volume is named VM:VOLUME");

    public override string ToString() => $"{Vm}:{Volume}";

    /// <summary>Makes one of the calls <c>mgmt.vm.volume.*</c> of it.</summary>
    public Task<ReadOnlyMemory<byte>> CallAsync(Run run, string call, string payload, CancellationToken cancellationToken) =>
        run.Daemon.CallAsync("mgmt.vm.volume." + call, Volume, Vm, payload, cancellationToken);
}
