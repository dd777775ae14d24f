"""The owner's whole way from a model to a verdict, its public interface, and the demonstration."""
