using Mgmt.State;

namespace Mgmt.Api;

/// <summary>Tags. They are what policies grant by, so the ones the daemon gives out are only dom0's to change.</summary>
public sealed class TagCalls(StateStore store) : ICallGroup
{
    private static readonly string[] Dom0Only = ["created-by-", "disp-created-by-", "managed-by-", "backup-", "guivm-", "audiovm-"];

    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new("vm.tag.List", CallTarget.Any, CallAccess.Read, CallScope.Vm, ArgumentRule.OneEntry("tag"), PayloadRule.None, CallDialects.Both,
            "The tags of a VM.", List) { Returns = "`<tag>\\n`" },
        new("vm.tag.Get", CallTarget.Any, CallAccess.Read, CallScope.Vm, ArgumentRule.Required("tag"), PayloadRule.None, CallDialects.Both,
            "Whether a VM has a tag.", Get) { Returns = "`0` or `1`" },
        new("vm.tag.Set", CallTarget.Any, CallAccess.Write, CallScope.Host, ArgumentRule.Required("tag"), PayloadRule.None, CallDialects.Both,
            "Gives a VM a tag.", Set),
        new("vm.tag.Remove", CallTarget.Any, CallAccess.Write, CallScope.Host, ArgumentRule.Required("tag"), PayloadRule.None, CallDialects.Both,
            "Takes a tag off a VM.", Remove),
    ];

    private ValueTask<ReadOnlyMemory<byte>> List(CallContext call, CancellationToken cancellation)
    {
        if (call.Argument.Length == 0)
        {
            return new(Content.Lines(call.Target.Tags));
        }
        var tag = TagName.Parse(call.Argument);
        return call.Target.Tags.Contains(tag) ? new(Content.Lines([tag])) : throw NotFound(call.Target, tag);
    }

    private ValueTask<ReadOnlyMemory<byte>> Get(CallContext call, CancellationToken cancellation) =>
        new(Content.Text(call.Target.Tags.Contains(TagName.Parse(call.Argument)) ? "1" : "0"));

    private async ValueTask<ReadOnlyMemory<byte>> Set(CallContext call, CancellationToken cancellation)
    {
        var tag = Changeable(call);
        await store.ApplyAsync(change =>
        {
            var vm = change.State.Get(call.Target.Name);
            if (!vm.Tags.Contains(tag))
            {
                change.PutVm(vm with { Tags = vm.Tags.Add(tag) });
                change.Emit(MgmtEvent.Of(vm.Name, "domain-tag-add:" + tag, ("tag", tag.Value)));
            }
        }, CancellationToken.None);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> Remove(CallContext call, CancellationToken cancellation)
    {
        var tag = Changeable(call);
        await store.ApplyAsync(change =>
        {
            var vm = change.State.Get(call.Target.Name);
            if (!vm.Tags.Contains(tag))
            {
                throw NotFound(vm, tag);
            }
            change.PutVm(vm with { Tags = vm.Tags.Remove(tag) });
            change.Emit(MgmtEvent.Of(vm.Name, "domain-tag-delete:" + tag, ("tag", tag.Value)));
        }, CancellationToken.None);
        return Content.Empty;
    }

    private static TagName Changeable(CallContext call)
    {
        var tag = TagName.Parse(call.Argument);
        return call.Source == "dom0" || !IsProtected(tag)
            ? tag
            : throw new MgmtException(ErrorCode.PermissionDenied, "Only dom0 sets or removes tags that begin with %s", Dom0Only.First(p => tag.Value.StartsWith(p, StringComparison.Ordinal)));
    }

    /// <summary>Whether only dom0 gives and takes the tag, and no copy of a VM inherits it.</summary>
    internal static bool IsProtected(TagName tag) => Dom0Only.Any(prefix => tag.Value.StartsWith(prefix, StringComparison.Ordinal));

    private static MgmtException NotFound(VmRecord vm, TagName tag) => new(ErrorCode.QubesTagNotFoundError, "Tag not set for domain %s: %s", vm.Name.Value, tag.Value);
}
