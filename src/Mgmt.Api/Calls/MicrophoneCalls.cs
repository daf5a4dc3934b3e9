namespace Mgmt.Api;

/// <summary>The host's microphone, which is the mic device <c>dom0+mic</c>.</summary>
public sealed class MicrophoneCalls(DeviceOperations operations) : ICallGroup
{
    private static readonly DeviceAddress Microphone = DeviceAddress.Of(DeviceClass.Mic, VmName.Dom0, "mic");

    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        Row("Attach", "Lets a running VM record from the host's microphone.", (call, token) => operations.AttachAsync(call.Target.Name, Microphone, null, DeviceOptions.None, token)),
        Row("Detach", "Takes the microphone from a running VM.", (call, token) => operations.DetachAsync(call.Target.Name, Microphone, token)),
    ];

    private static CallRow Row(string name, string summary, Func<CallContext, CancellationToken, Task> act) =>
        new("vm.microphone." + name, CallTarget.Vm, CallAccess.Execute, CallScope.Vm, ArgumentRule.None, PayloadRule.None, CallDialects.Mgmt,
            summary + $" The policy is also asked for vm.device.mic.{name} +dom0+mic.", async (call, token) =>
            {
                await act(call, token);
                return Content.Empty;
            })
        {
            MoreQuestions = call => [new("vm.device.mic." + name, Microphone.ToString(), Targets.Asked(call.State, call.Request))],
        };
}
