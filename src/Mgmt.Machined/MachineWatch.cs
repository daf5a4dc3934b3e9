using System.Threading.Channels;
using Mgmt.Core;
using Mgmt.Machined.Bus;

namespace Mgmt.Machined;

/// <summary>
/// Which machines there are, kept by the bus thread: the first list is the ground, after it every difference is a change,
/// be it signalled or found by listing again after a time without the bus.
/// </summary>
internal sealed class MachineWatch
{
    private const int MostKnown = 8192;
    private const int ChangesBound = 256;

    private readonly Channel<MachineChange> _changes = Channel.CreateBounded<MachineChange>(
        new BoundedChannelOptions(ChangesBound) { FullMode = BoundedChannelFullMode.DropOldest, SingleWriter = true });
    private readonly HashSet<string> _known = [];
    private bool _listed;

    public ChannelReader<MachineChange> Changes => _changes.Reader;

    public IEnumerable<BusMatch> Matches =>
    [
        new(Rule("MachineNew"), reader => Note(reader.String(), added: true)),
        new(Rule("MachineRemoved"), reader => Note(reader.String(), added: false)),
    ];

    /// <summary>
    /// Reads the answer to ListMachines and gives its length. Signals and this answer come from one sender in order, so
    /// what is known afterwards is what that sender knows.
    /// </summary>
    public int Compare(BusReader reader)
    {
        var now = MachineCalls.ReadMachines(reader).Where(IsName).ToHashSet();
        foreach (var gone in _known.Where(name => !now.Contains(name)).ToArray())
        {
            Note(gone, added: false);
        }
        foreach (var name in now)
        {
            _ = _listed ? Note(name, added: true) : _known.Add(name);
        }
        _listed = true;
        return now.Count;
    }

    public void Complete() => _changes.Writer.TryComplete();

    // What is no name cannot be asked about, and is not told of.
    private static bool IsName(string name) => HostMachineName.TryParse(name) is not null;

    private bool Note(string name, bool added)
    {
        if (!IsName(name))
        {
            return false;
        }
        var news = added ? _known.Count < MostKnown && _known.Add(name) : _known.Remove(name);
        return news && _changes.Writer.TryWrite(new MachineChange(name, added));
    }

    private static string Rule(string member) =>
        $"type='signal',sender='{MachineCalls.Machined}',path='{MachineCalls.MachinedPath}',interface='{MachineCalls.MachinedManager}',member='{member}'";
}
