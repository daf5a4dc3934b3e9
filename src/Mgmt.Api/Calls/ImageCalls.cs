using System.Globalization;

namespace Mgmt.Api;

/// <summary>Images that a pool's host keeps (driver machined). SOURCE: docs/storage.md, "Images of systemd-machined".</summary>
public sealed class ImageCalls(ImageOperations images) : ICallGroup
{
    private const string Unlimited = "none";
    private static readonly ArgumentRule s_pool = ArgumentRule.Required("pool");

    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new("pool.image.List", CallTarget.Dom0, CallAccess.Read, CallScope.Host, s_pool, PayloadRule.None, CallDialects.Mgmt,
            "The images of a pool of driver machined.", List) { Returns = "`<image> type=raw,directory,subvolume,block rw=True,False usage=<bytes>\\n`, usage empty when unknown" },
        new("pool.image.Clone", CallTarget.Dom0, CallAccess.Write, CallScope.Host, s_pool, PayloadRule.Required("`<image> <new>`, optional ` read-only`"), CallDialects.Mgmt,
            "Copies an image under a new name.", Clone),
        new("pool.image.Remove", CallTarget.Dom0, CallAccess.Write, CallScope.Host, s_pool, PayloadRule.Required("`<image>`, a read-only one only with ` force`"), CallDialects.Mgmt,
            "Removes an image that no VM has.", Remove),
        new("pool.image.Rename", CallTarget.Dom0, CallAccess.Write, CallScope.Host, s_pool, PayloadRule.Required("`<image> <new>`"), CallDialects.Mgmt,
            "Gives an image that no VM has another name.", Rename),
        new("pool.image.SetReadOnly", CallTarget.Dom0, CallAccess.Write, CallScope.Host, s_pool, PayloadRule.Required("`<image> <truth value>`"), CallDialects.Mgmt,
            "Marks an image read-only, or writable.", SetReadOnly),
        new("pool.image.SetLimit", CallTarget.Dom0, CallAccess.Write, CallScope.Host, s_pool, PayloadRule.Required("`<image> <bytes>` or `<image> none`"), CallDialects.Mgmt,
            "Limits what an image takes on disk (subvolumes of btrfs with quotas).", SetLimit),
        new("pool.SetLimit", CallTarget.Dom0, CallAccess.Write, CallScope.Host, s_pool, PayloadRule.Required("`<bytes>` or `none`"), CallDialects.Mgmt,
            "Limits what all images of a pool of driver machined take together (btrfs).", SetPoolLimit),
    ];

    private ValueTask<ReadOnlyMemory<byte>> List(CallContext call, CancellationToken cancellation) => new(Content.Lines(images.List(Pool(call)).Select(image =>
        string.Create(CultureInfo.InvariantCulture, $"{image.Name} type={image.Type} rw={Parse.Text(!image.ReadOnly)} usage={image.UsedBytes}"))));

    private async ValueTask<ReadOnlyMemory<byte>> Clone(CallContext call, CancellationToken cancellation)
    {
        var words = Words(call, 2, 3);
        if (words.Length == 3 && words[2] != "read-only")
        {
            throw Wrong();
        }
        await images.CloneAsync(Pool(call), Vid.Parse(words[0]), Vid.Parse(words[1]), words.Length == 3, cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> Remove(CallContext call, CancellationToken cancellation)
    {
        var words = Words(call, 1, 2);
        if (words.Length == 2 && words[1] != "force")
        {
            throw Wrong();
        }
        await images.RemoveAsync(Pool(call), Vid.Parse(words[0]), words.Length == 2, cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> Rename(CallContext call, CancellationToken cancellation)
    {
        var words = Words(call, 2, 2);
        await images.RenameAsync(Pool(call), Vid.Parse(words[0]), Vid.Parse(words[1]), cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> SetReadOnly(CallContext call, CancellationToken cancellation)
    {
        var words = Words(call, 2, 2);
        await images.SetReadOnlyAsync(Pool(call), Vid.Parse(words[0]), Parse.Boolean(words[1], "read-only"), cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> SetLimit(CallContext call, CancellationToken cancellation)
    {
        var words = Words(call, 2, 2);
        await images.SetLimitAsync(Pool(call), Vid.Parse(words[0]), Limit(words[1]), cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> SetPoolLimit(CallContext call, CancellationToken cancellation)
    {
        await images.SetPoolLimitAsync(Pool(call), Limit(Words(call, 1, 1)[0]), cancellation);
        return Content.Empty;
    }

    private static long? Limit(string text) => text == Unlimited ? null : Parse.Number(text, "limit");

    private static PoolName Pool(CallContext call) => PoolName.Parse(call.Argument);

    private static string[] Words(CallContext call, int least, int most) =>
        call.PayloadText("payload").Split(' ') is { } words && words.Length >= least && words.Length <= most ? words : throw Wrong();

    private static MgmtException Wrong() => new(ErrorCode.ProtocolError, "the payload is not of the words that this call takes");
}
