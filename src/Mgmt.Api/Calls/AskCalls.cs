namespace Mgmt.Api;

/// <summary>Whoever answers the questions of ask rules: being told them, and answering. SOURCE: docs/policy.md, "Ask".</summary>
public sealed class AskCalls(PendingQuestions questions, PolicyGate policy) : ICallGroup
{
    private const string AgentName = "policy.Agent";
    private const string AnswerName = "policy.Answer";
    private const string Dom0 = "dom0";

    /// <summary>What the policy is asked in addition when a VM would answer its own question.</summary>
    private static readonly CallQuestion OwnQuestion = new(AnswerName, "self", Dom0);

    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new(AgentName, CallTarget.Dom0, CallAccess.Execute, CallScope.Host, ArgumentRule.None, PayloadRule.None, CallDialects.Mgmt,
            "The questions of ask rules as they come: while the stream is open, there is somebody to ask.", AgentAsync)
            { Returns = "EVENT stream", IsStream = true, IsCancellable = true, AskIsDenial = true },
        new(AnswerName, CallTarget.Dom0, CallAccess.Execute, CallScope.Host, ArgumentRule.Required("question"), PayloadRule.Required("`allow:<target>` or `deny`"), CallDialects.Mgmt,
            "Answers a question. The policy is asked with `+`, and a VM's own question also with `+self`.", Answer)
            { AskIsDenial = true, AskedArgument = _ => "", MoreQuestions = call => questions.SourceOf(call.Argument) is { } source && IsOwn(call.Source, source) ? [OwnQuestion] : [] },
    ];

    private async ValueTask<ReadOnlyMemory<byte>> AgentAsync(CallContext call, CancellationToken cancellation)
    {
        var source = call.Source;
        var agent = questions.Agent(source,
            () => policy.AllowsEvent(source, new(AgentName, "", Dom0)),
            question => policy.AllowsEvent(source, new(AnswerName, "", Dom0)) && (!IsOwn(source, question.Source) || policy.AllowsEvent(source, OwnQuestion)));
        await questions.ServeAsync(agent, call.Events!, cancellation);
        return Content.Empty;
    }

    private ValueTask<ReadOnlyMemory<byte>> Answer(CallContext call, CancellationToken cancellation)
    {
        questions.Answer(call.Argument, call.PayloadText("answer"), call.Source);
        return new(Content.Empty);
    }

    /// <summary>dom0 is the host's administrators: who asks and who answers there are two people, or one that confirms.</summary>
    private static bool IsOwn(string agent, string source) => agent == source && agent != Dom0;
}
