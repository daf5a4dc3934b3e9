namespace Mgmt.State.Tests;

internal static class AssertExtensions
{
    extension(Assert)
    {
        /// <summary>The exception of a task that is already running, awaited under a deadline.</summary>
        internal static async Task<T> ThatAsyncThrows<T>(Task task)
            where T : Exception
        {
            try
            {
                await task.WaitAsync(TestStore.Deadline);
            }
            catch (T error)
            {
                return error;
            }
            throw new AssertionException($"no {typeof(T).Name}");
        }
    }
}
