"""Starting and stopping: the supervisor, what it starts, and the ties by which no process outlives the workspace."""
