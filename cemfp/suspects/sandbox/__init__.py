"""A stranger's file is opened in a process of its own, which gave up its rights before.

`boxed.Boxed` is the suspect that one sees; `launch` starts the process, in namespaces of its own
where the machine allows it; `worker` is what runs there; `confine` takes its rights away;
`protocol` is all that passes between the two.
"""
