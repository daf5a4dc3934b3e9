using System.Globalization;
using Mgmt.Core;

namespace Mgmt.Daemon;

/// <summary>The bytes of payloads that are held in memory for the calls of one VM, over all its channels, from the first byte that came to the end of the call.</summary>
internal sealed class PayloadBudget(VmName vm, long limitBytes)
{
    private long _held;

    internal long HeldBytes => Interlocked.Read(ref _held);

    internal long LimitBytes => limitBytes;

    /// <summary>Of one call; disposing gives back what it took.</summary>
    internal Share Open() => new(this);

    internal sealed class Share(PayloadBudget budget) : IDisposable
    {
        private long _bytes;

        /// <summary>So many more. ERRORS: MgmtBusyError when the calls of the VM then hold more than they may.</summary>
        internal void Take(int bytes)
        {
            _bytes += bytes;
            if (Interlocked.Add(ref budget._held, bytes) > budget.LimitBytes)
            {
                throw new MgmtException(ErrorCode.MgmtBusyError, "The payloads of all calls of %s that are in flight may have %s bytes together; try again when another one has ended", budget.Vm, Text(budget.LimitBytes));
            }
        }

        public void Dispose() => Interlocked.Add(ref budget._held, -Interlocked.Exchange(ref _bytes, 0));

        private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
    }

    private string Vm => vm.Value;
}
