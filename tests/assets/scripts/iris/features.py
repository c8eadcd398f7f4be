COLUMNS = ["sepal length", "sepal width", "petal length", "petal width"]


def describe(row):
    return {"species": ["setosa", "versicolor", "virginica"][row.index(max(row))], "probability": max(row)}
